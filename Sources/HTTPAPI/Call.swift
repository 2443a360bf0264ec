import EventLoop
import HTTPServer
import JSON
import Service

/// One request on its way through the API: its route, its path parameters, who calls, and how to answer.
@LoopActor
final class Call {
    let exchange: HTTPExchange
    let route: Route
    let caller: Caller
    let service: AnnealService
    let views: JobViewCache
    let frames: FrameCache
    let dashboard: DashboardFiles
    private let parameters: [String]
    /// Held while the answer streams or is held back.
    var streamPlace: StreamPlace?
    /// The body, once it was read.
    private var wholeBody: [UInt8]?

    init(
        exchange: HTTPExchange, route: Route, parameters: [String], caller: Caller, service: AnnealService, views: JobViewCache,
        frames: FrameCache, dashboard: DashboardFiles
    ) {
        self.exchange = exchange
        self.route = route
        self.parameters = parameters
        self.caller = caller
        self.service = service
        self.views = views
        self.frames = frames
        self.dashboard = dashboard
    }

    var request: HTTPRequest { exchange.request }

    /// The path parameter at `index`, in the order of the route's path.
    func parameter(_ index: Int = 0) -> String { parameters[index] }

    func answer(_ answer: Answer) {
        Auditing.note(request, route, parameters, caller, status: answer.status.code, headers: answer.headers, in: service)
        exchange.respond(answer.status, headers: answer.headers, body: answer.body)
    }

    /// Answers with the problem of `error`.
    func fail(_ error: any Error) {
        let problem = Problem(error)
        let requestID = service.identifiers.next(.request)
        if problem.isUnexpected {
            service.log.error(
                "request failed", metadata: ["request_id": "\(requestID)", "operation": "\(route.operation)", "error": "\(error)"])
        }
        answer(problem.answer(instance: request.path, requestID: requestID))
    }

    /// Answers with what `body` returns or throws.
    func task(_ body: @escaping @LoopActor @Sendable () async throws -> Answer) {
        Task { @LoopActor in
            do {
                answer(try await body())
            } catch {
                fail(error)
            }
        }
    }

    /// Runs `body`, which answers by itself; `onFailure` gets what it throws before it has begun to answer.
    func task(onFailure: @escaping @LoopActor (any Error) -> Void, _ body: @escaping @LoopActor @Sendable () async throws -> Void) {
        Task { @LoopActor in
            do {
                try await body()
            } catch {
                onFailure(error)
            }
        }
    }

    // MARK: Query

    /// Refuses parameters that the operation does not know and parameters given twice that are not lists.
    func checkQuery() throws(ServiceError) {
        guard !route.anyQuery else { return }
        var seen: Set<String> = []
        for (name, _) in request.query {
            guard route.query.contains(name) else {
                throw ServiceError(
                    .badRequest, "unknown query parameter '\(name)'",
                    errors: [
                        .init(
                            pointer: "/query/\(name)",
                            detail: "known are: \(route.query.isEmpty ? "none" : route.query.joined(separator: ", "))")
                    ])
            }
            if !seen.insert(name).inserted, !route.lists.contains(name) {
                throw Self.invalid(name, "stands more than once")
            }
        }
    }

    static func invalid(_ name: String, _ why: String) -> ServiceError {
        ServiceError(.badRequest, "query parameter '\(name)': \(why)", errors: [.init(pointer: "/query/\(name)", detail: why)])
    }

    func query(_ name: String) -> String? { request.queryValue(name) }

    func queries(_ name: String) -> [String] { request.query.filter { $0.0 == name }.map(\.1) }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(ServiceError) -> Int? {
        guard let text = query(name) else { return nil }
        guard let value = Int(text), range.contains(value), !text.hasPrefix("+") else {
            throw Self.invalid(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func flag(_ name: String) throws(ServiceError) -> Bool {
        switch query(name) {
        case nil, "false": return false
        case "true": return true
        default: throw Self.invalid(name, "must be true or false")
        }
    }

    func choice<Value: RawRepresentable & CaseIterable>(_ name: String, as: Value.Type) throws(ServiceError) -> Value?
    where Value.RawValue == String {
        guard let text = query(name) else { return nil }
        guard let value = Value(rawValue: text) else {
            throw Self.invalid(name, "must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    /// `limit` and `after` of a list.
    func page() throws(ServiceError) -> PageRequest {
        let after = query("after")
        if let after, after.isEmpty || after.utf8.count > 200 { throw Self.invalid("after", "must be the 'next' of an earlier page") }
        return PageRequest(limit: try integer("limit", in: 1...PageRequest.limitMax) ?? PageRequest.limitDefault, after: after)
    }

    /// How long a GET may be held: `wait=30` or `wait=30s`, up to a minute.
    func wait() throws(ServiceError) -> Duration? {
        guard let text = query("wait") else { return nil }
        let digits = text.hasSuffix("s") ? text.dropLast() : text[...]
        guard let seconds = Int(digits), (0...60).contains(seconds), !digits.hasPrefix("+") else {
            throw Self.invalid("wait", "must be a number of seconds from 0 to 60")
        }
        return .seconds(seconds)
    }

    // MARK: Body

    /// The whole body, up to `limit` bytes. May be asked for again.
    func body(upTo limit: Int) async throws -> [UInt8] {
        if let bytes = wholeBody {
            guard bytes.count <= limit else { throw ServiceError(.tooLarge, "the body is larger than \(limit) bytes") }
            return bytes
        }
        let bytes = try await readBody(upTo: limit)
        wholeBody = bytes
        return bytes
    }

    private func readBody(upTo limit: Int) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            exchange.readBody(upTo: limit) { result in
                switch result {
                case .success(let bytes): continuation.resume(returning: bytes)
                case .failure(.tooLarge): continuation.resume(throwing: ServiceError(.tooLarge, "the body is larger than \(limit) bytes"))
                case .failure(let error): continuation.resume(throwing: ServiceError(.badRequest, "the body could not be read: \(error)"))
                }
            }
        }
    }

    /// A JSON body; anything else is a clear problem.
    func jsonBody(upTo limit: Int) async throws -> JSONValue {
        guard let type = request.headers["content-type"], Self.essence(type) == "application/json" else {
            throw ServiceError(.unsupportedMediaType, "the body must be application/json")
        }
        let bytes = try await body(upTo: limit)
        do {
            return try JSONParser.parse(bytes)
        } catch let error as JSONError {
            throw ServiceError(.badRequest, "the body is not JSON: \(error)")
        }
    }

    /// True where the request announces a body.
    var hasBody: Bool {
        request.headers["content-type"] != nil || request.headers["transfer-encoding"] != nil
            || request.headers["content-length"] ?? "0" != "0"
    }

    /// The media type without its parameters, in lower case.
    nonisolated static func essence(_ mediaType: String) -> String {
        let head = mediaType.split(separator: ";", maxSplits: 1).first ?? ""
        return head.split(separator: " ").joined().lowercased()
    }

    /// True where the client prefers `type` by an explicit Accept header.
    func accepts(_ type: String) -> Bool {
        guard let accept = request.headers["accept"] else { return false }
        return accept.split(separator: ",").contains { Self.essence(String($0)) == type }
    }
}
