import APITypes
import HTTPClient
import JSON

/// Requests to the daemon. Each returns its answer or throws a `CommandFailure` that says what went wrong.
struct APIClient: Sendable {
    /// A body together with what it means.
    struct Answer<View> {
        var view: View
        /// The body as it came, for `--json`.
        var body: [UInt8]
    }

    /// The largest body that is held; lists are paged, and logs and datasets are streamed.
    private static let bodyBytesMax = 256 << 20
    private static let connectTimeout: Duration = .seconds(5)
    private static let timeout: Duration = .seconds(120)
    /// For the daemon to read and check a large file.
    static let readingTime: Duration = .seconds(3600)
    /// A stream that is silent for longer has died; the daemon sends a ping every 15 seconds.
    static let silenceMax: Duration = .seconds(45)

    let endpoint: Endpoint
    let token: String?

    /// `GET`, decoded.
    func get<View: Decodable>(_ type: View.Type, _ path: [String], query: [(String, String)] = []) throws -> Answer<View> {
        try decode(send("GET", path, query: query), as: type)
    }

    /// `POST`, decoded.
    func post<View: Decodable>(
        _ type: View.Type, _ path: [String], query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8]? = nil,
        source: String? = nil
    ) throws -> Answer<View> {
        try decode(send("POST", path, query: query, headers: headers, body: body, source: source), as: type)
    }

    /// Sends one request and returns the body of a successful answer.
    ///
    /// - Parameters:
    ///   - path: The unescaped segments of the path.
    ///   - source: The name of the file that the body came from, for the messages of faults in it.
    ///   - isSlow: Whether the daemon may take its time, as to read a large file.
    func send(
        _ method: String, _ path: [String], query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8]? = nil,
        source: String? = nil, isSlow: Bool = false
    ) throws -> [UInt8] {
        var request = self.request(method, path, query: query, headers: [("Accept", "application/json")] + headers)
        request.body = body
        request.timeout = isSlow ? Self.readingTime : Self.timeout
        return try checked(perform(request), source: source)
    }

    /// Sends a file as the body, without reading it into memory.
    func upload(_ path: [String], query: [(String, String)], headers: [(String, String)], file: String) throws -> [UInt8] {
        var request = self.request("POST", path, query: query, headers: [("Accept", "application/json")] + headers)
        request.timeout = .seconds(7 * 86400)
        // Silence is also what comes while the daemon reads what it was sent.
        request.lowSpeed = .init(bytesPerSecond: 1, time: Self.readingTime)
        return try checked(perform(request, uploadFile: file), source: file)
    }

    /// Reads a body as it comes, for as long as the daemon sends; `onChunk` returns false to end it.
    ///
    /// Returns when the body has ended or `onChunk` ended it. Throws `ConnectionLost` where the connection ended early.
    /// It ends as lost, too, where nothing comes for `silence`.
    func stream(
        _ path: [String], query: [(String, String)], headers: [(String, String)], silence: Duration = silenceMax,
        onChunk: ([UInt8]) throws -> Bool
    ) throws {
        var request = self.request("GET", path, query: query, headers: headers)
        request.timeout = nil
        request.lowSpeed = .init(bytesPerSecond: 1, time: silence)
        var thrown: (any Error)?
        var wasEnded = false
        do {
            // The client takes an optional closure, which Swift counts as escaping; it does not keep it.
            let response = try withoutActuallyEscaping(onChunk) { onChunk in
                try BlockingHTTPClient.perform(request) { chunk in
                    do {
                        wasEnded = !(try onChunk(chunk))
                    } catch {
                        thrown = error
                    }
                    return !wasEnded && thrown == nil
                }
            }
            if let thrown { throw thrown }
            guard (200..<300).contains(response.status) else { throw CommandFailure(httpStatus: response.status, body: response.body) }
        } catch let error as HTTPClientError {
            if let thrown { throw thrown }
            if !wasEnded { throw ConnectionLost(reason: failure(error)) }
        }
    }

    /// The end of a stream that the daemon did not end.
    struct ConnectionLost: Error {
        var reason: CommandFailure
    }

    // MARK: One request

    private func request(
        _ method: String, _ path: [String], query: [(String, String)], headers: [(String, String)]
    ) -> HTTPClientRequest {
        var url = endpoint.baseURL + path.map { "/" + URLText.escaped($0) }.joined()
        if !query.isEmpty { url += "?" + query.map { "\(URLText.escaped($0))=\(URLText.escaped($1))" }.joined(separator: "&") }
        var request = HTTPClientRequest(url: url, method: method)
        request.headers = headers + [("User-Agent", "anneal/\(Version.number)")]
        if let token { request.headers.append(("Authorization", "Bearer \(token)")) }
        request.connectTimeout = Self.connectTimeout
        request.unixSocketPath = endpoint.unixSocketPath
        request.responseBytesMax = Self.bodyBytesMax
        return request
    }

    private func perform(_ request: HTTPClientRequest, uploadFile: String? = nil) throws -> HTTPClientResponse {
        do {
            return try BlockingHTTPClient.perform(request, uploadFile: uploadFile)
        } catch {
            throw failure(error)
        }
    }

    private func checked(_ response: HTTPClientResponse, source: String?) throws -> [UInt8] {
        guard (200..<300).contains(response.status) else {
            throw CommandFailure(httpStatus: response.status, body: response.body, source: source)
        }
        return response.body
    }

    private func failure(_ error: HTTPClientError) -> CommandFailure {
        // The client leads its message with the whole URL, which says less than the address that the user gave.
        let message = error.message.split(separator: ": ").last.map(String.init) ?? error.message
        switch error.code {
        case .invalidURL: return CommandFailure(.usage, "'\(endpoint.text)' is no address of a daemon: \(message)")
        case .invalidRequest: return CommandFailure(.usage, "cannot send \(error.message)")
        case .tooLarge: return CommandFailure(.failed, "the answer of \(endpoint.text) is larger than \(Self.bodyBytesMax) bytes")
        default:
            return CommandFailure(
                .unreachable, "no daemon answers at \(endpoint.text): \(message)", "start one with 'anneald', or set ANNEAL_URL")
        }
    }

    /// Reads a body that came.
    func decode<View: Decodable>(_ body: [UInt8], as type: View.Type) throws -> Answer<View> {
        do {
            return Answer(view: try View(decoding: JSONParser.parse(body)), body: body)
        } catch {
            throw CommandFailure(.failed, "the answer of \(endpoint.text) is not what this version expects: \(error)", document: body)
        }
    }
}
