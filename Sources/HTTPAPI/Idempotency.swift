import Crypto
import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// Idempotency keys: the second POST with a key gets the answer of the first.
///
/// The key, a hash of the request and the answer are kept for at least a day. The same key with another request is refused. The
/// answer of a submission is written in the transaction of the submission itself; that of other operations right after
/// them, which is enough because repeating one of them changes nothing or is a conflict.
@LoopActor
enum Idempotency {
    /// A key that was not used before, or the stored answer of one that was.
    struct Reservation: Sendable {
        let stored: Answer?
        private let key: String
        private let route: String
        private let bodyHash: String
        private let service: AnnealService

        fileprivate init(stored: Answer?, key: String, route: String, bodyHash: String, service: AnnealService) {
            self.stored = stored
            self.key = key
            self.route = route
            self.bodyHash = bodyHash
            self.service = service
        }

        /// Stores the answer within a transaction.
        func keep(_ answer: Answer, in writer: WriteTransaction) throws {
            try writer.insert(
                idempotency: IdempotencyRecord(
                    key: key, route: route, bodyHash: bodyHash, status: answer.status.code, headers: Idempotency.document(answer.headers),
                    body: answer.body,
                    createdAt: Store.systemTime()))
        }

        /// Stores the answer in a transaction of its own.
        fileprivate func keep(_ answer: Answer) async throws { try await service.store.write { try self.keep(answer, in: $0) } }
    }

    /// Runs an operation under its idempotency key, if the request is a POST that carries one.
    static func run(_ call: Call, _ body: @escaping @LoopActor @Sendable (Call) async throws -> Answer) async throws -> Answer {
        // A submission keeps its answer itself, in its own transaction; the answer that holds a new token is kept nowhere.
        guard call.route.method == .post, !["submitExperiment", "createToken"].contains(call.route.operation), key(of: call) != nil else {
            return try await body(call)
        }
        let sent = call.hasBody ? try await call.body(upTo: ServiceLimits.trackingRequestBytesMax) : []
        guard let reservation = try await reserve(call, body: sent) else { return try await body(call) }
        if let stored = reservation.stored { return stored }
        let answer = try await body(call)
        // Foreign protocols answer with their errors; what was refused may be tried again.
        if answer.status.code < 400 { try await reservation.keep(answer) }
        return answer
    }

    /// Some clients send the name with the X- prefix on every write.
    private static func key(of call: Call) -> String? {
        call.request.headers["idempotency-key"] ?? call.request.headers["x-idempotency-key"]
    }

    /// Looks the request's key up; `nil` where it has none.
    static func reserve(_ call: Call, body: [UInt8]) async throws -> Reservation? {
        guard let key = key(of: call) else { return nil }
        guard !key.isEmpty, key.utf8.count <= ServiceLimits.idempotencyKeyLengthMax, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw ServiceError(
                .badRequest, "the Idempotency-Key must be 1 to \(ServiceLimits.idempotencyKeyLengthMax) visible ASCII characters")
        }
        // One caller's answers are not for another who may see less.
        let owner = call.caller.reach == .everything ? "" : " of " + (call.caller.rateKey ?? call.caller.description)
        let route = "\(call.request.method.rawValue) \(call.request.target)\(owner)"
        let hash = SHA256.hash(data: body).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let known = try await call.service.store.read { try $0.idempotency(key: key, route: route) }
        guard let known else { return Reservation(stored: nil, key: key, route: route, bodyHash: hash, service: call.service) }
        guard known.bodyHash == hash else {
            throw ServiceError(.idempotencyMismatch, "the Idempotency-Key '\(key)' was used before with another request")
        }
        var headers = headers(known.headers)
        headers.set("Idempotency-Replayed", "true")
        let stored = Answer(status: HTTPStatus(known.status), headers: headers, body: known.body)
        return Reservation(stored: stored, key: key, route: route, bodyHash: hash, service: call.service)
    }

    private nonisolated static func document(_ headers: HTTPHeaders) -> JSONValue {
        .object(JSONObject(headers.map { ($0.name, .string($0.value)) }, uniquingKeysWith: { _, last in last }))
    }

    private nonisolated static func headers(_ document: JSONValue) -> HTTPHeaders {
        var headers = HTTPHeaders()
        for (name, value) in document.object ?? [:] { value.string.map { headers.set(name, $0) } }
        return headers
    }
}
