import EventLoop
import HTTPClient
import JSON

/// Asks an OpenAI-compatible server for chat completions, again where it makes sense.
@LoopActor
public final class CompletionClient {
    /// Requests for one completion, the first included.
    public nonisolated static let attemptsMax = 5
    /// The wait before the second attempt, unless another is given; each further one is twice as long.
    public static let firstDelay: Duration = .milliseconds(500)
    /// The longest wait, also where the server asks for a longer one by Retry-After.
    public static let delayMax: Duration = .seconds(60)
    /// Bytes of an answer's body.
    public static let responseBytesMax = 64 << 20

    /// Where the server is.
    public nonisolated let address: GenerationServer.Address
    /// Requests that it may get at once.
    public nonisolated let connectionsMax: Int
    private let client: HTTPClient
    private let headers: [(name: String, value: String)]
    private let requestTimeout: Duration
    private let firstDelay: Duration
    private let log: @LoopActor (String) -> Void

    /// - Parameters:
    ///   - baseURL: the server's URL, with or without a final `/v1`.
    ///   - apiKey: sent as a bearer token.
    ///   - connectionsMax: requests at once.
    ///   - log: gets a line for each attempt that failed.
    public init(
        baseURL: String, apiKey: String? = nil, requestTimeout: Duration, firstDelay: Duration = CompletionClient.firstDelay,
        connectionsMax: Int,
        log: @escaping @LoopActor (String) -> Void
    ) {
        client = HTTPClient(connectionsMax: connectionsMax)
        self.connectionsMax = connectionsMax
        address = GenerationServer.Address(url: baseURL, apiKey: apiKey)
        headers = [("Content-Type", "application/json")] + (apiKey.map { [("Authorization", "Bearer " + $0)] } ?? [])
        self.requestTimeout = requestTimeout
        self.firstDelay = firstDelay
        self.log = log
    }

    /// The models that the server lists, by id.
    public func models() async throws -> [String] {
        let document = try await attempt(
            "the list of models",
            HTTPClientRequest(
                url: address.url + "/models", headers: headers, timeout: .seconds(30), responseBytesMax: Self.responseBytesMax))
        return document.body["data"]?.array?.compactMap { $0["id"]?.string } ?? []
    }

    /// One completion; `name` tells in messages which it is.
    public func complete(_ request: CompletionRequest, name: String) async throws -> Completion {
        let body = JSONWriter().bytes(of: request.json)
        let answer = try await attempt(
            name,
            HTTPClientRequest(
                url: address.url + "/chat/completions", method: "POST", headers: headers, body: body, timeout: requestTimeout,
                responseBytesMax: Self.responseBytesMax))
        guard let completion = Completion(response: answer.body, startedAt: answer.startedAt, endedAt: answer.endedAt) else {
            throw CompletionError(
                code: .serverFailed, message: "\(name): the server's answer is no chat completion: \(Self.excerpt(answer.body.text()))")
        }
        return completion
    }

    private struct Answer {
        var body: JSONValue
        var startedAt: Int64
        var endedAt: Int64
    }

    /// Why an attempt failed, and how long the server asks to wait.
    private struct Setback: Error {
        var message: String
        var retryAfter: Duration?
    }

    private func attempt(_ name: String, _ request: HTTPClientRequest) async throws -> Answer {
        var delay = firstDelay
        for number in 1... {
            let setback: Setback
            do {
                return try await once(name, request)
            } catch let failed as Setback {
                setback = failed
            }
            guard number < Self.attemptsMax else {
                throw CompletionError(code: .serverFailed, message: "\(name): \(setback.message), \(number) times")
            }
            log("\(name): \(setback.message); attempt \(number + 1) of \(Self.attemptsMax) follows")
            try await Task.sleep(for: min(max(delay, setback.retryAfter ?? .zero), Self.delayMax))
            delay = delay * 2
        }
        throw CompletionError(code: .serverFailed, message: "\(name): no answer")
    }

    private func once(_ name: String, _ request: HTTPClientRequest) async throws -> Answer {
        let startedAt = SystemTime.now()
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await client.send(request)
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw Setback(message: error.message)
        }
        let endedAt = SystemTime.now()
        let text = Self.excerpt(String(decoding: response.body.prefix(4096), as: UTF8.self))
        switch response.status {
        case 200..<300:
            var options = JSONParser.Options.python
            options.depthMax = 64
            // A page of a proxy with status 200 is no answer of the model; it may be gone at the next attempt.
            guard let body = try? JSONParser.parse(response.body, options: options), body.object != nil else {
                throw Setback(message: "the server answered \(response.status) with no JSON object: \(text)")
            }
            return Answer(body: body, startedAt: startedAt, endedAt: endedAt)
        case 408, 425, 429, 500...:
            let seconds = response.header("Retry-After").flatMap { Int($0) }.map { Duration.seconds(max(0, $0)) }
            throw Setback(message: "the server answered \(response.status): \(text)", retryAfter: seconds)
        default:
            throw CompletionError(
                code: .refused, message: "\(name): the server refused the request with status \(response.status): \(text)")
        }
    }

    /// The start of a text on one line.
    private static func excerpt(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > 300 ? line.prefix(300) + "…" : line
    }
}
