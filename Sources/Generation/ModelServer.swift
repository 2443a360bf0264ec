import EventLoop
import HTTPClient
import JSON

/// An OpenAI-compatible server that runs: where it is, how much it may be asked at once, and which models it lists.
@LoopActor
public final class ModelServer {
    /// Requests for the list of models, the first included.
    public nonisolated static let attemptsMax = 5
    /// The wait before the second attempt, unless another is given; each further one is twice as long.
    public static let firstDelay: Duration = .milliseconds(500)
    /// The longest wait, also where the server asks for a longer one by Retry-After.
    public static let delayMax: Duration = .seconds(60)
    /// Bytes of the list of models.
    public static let responseBytesMax = 64 << 20
    /// The longest time of one request, unless another is given.
    public static let requestTimeout: Duration = .seconds(30)

    /// Where the server is.
    public nonisolated let address: GenerationServer.Address
    /// Requests that it may get at once.
    public nonisolated let connectionsMax: Int
    private let client = HTTPClient(connectionsMax: 1)
    private let requestTimeout: Duration
    private let firstDelay: Duration
    private let log: @LoopActor (String) -> Void

    /// - Parameters:
    ///   - baseURL: the server's URL, with or without a final `/v1`.
    ///   - apiKey: sent as a bearer token.
    ///   - connectionsMax: requests at once.
    ///   - log: gets a line for each attempt that failed.
    public init(
        baseURL: String, apiKey: String? = nil, connectionsMax: Int, requestTimeout: Duration = ModelServer.requestTimeout,
        firstDelay: Duration = ModelServer.firstDelay, log: @escaping @LoopActor (String) -> Void
    ) {
        address = GenerationServer.Address(url: baseURL, apiKey: apiKey)
        self.connectionsMax = connectionsMax
        self.requestTimeout = requestTimeout
        self.firstDelay = firstDelay
        self.log = log
    }

    /// The models that the server lists, by id; asked for again where that makes sense.
    public func models() async throws -> [String] {
        var (number, delay) = (1, firstDelay)
        while true {
            do {
                return try await once()
            } catch let setback as Setback {
                guard number < Self.attemptsMax else {
                    throw ModelServerError(code: .serverFailed, message: "\(Self.what): \(setback.message), \(number) times")
                }
                number += 1
                log("\(Self.what): \(setback.message); attempt \(number) of \(Self.attemptsMax) follows")
                try await Task.sleep(for: min(max(delay, setback.retryAfter ?? .zero), Self.delayMax))
                delay = delay * 2
            }
        }
    }

    /// What is asked for, in messages.
    private static let what = "the list of models"

    /// Why an attempt failed, and how long the server asks to wait.
    private struct Setback: Error {
        var message: String
        var retryAfter: Duration?
    }

    private func once() async throws -> [String] {
        let headers = address.apiKey.map { [(name: "Authorization", value: "Bearer " + $0)] } ?? []
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await client.send(
                HTTPClientRequest(
                    url: address.url + "/models", headers: headers, timeout: requestTimeout, responseBytesMax: Self.responseBytesMax))
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw Setback(message: error.message)
        }
        let text = Self.excerpt(String(decoding: response.body.prefix(4096), as: UTF8.self))
        switch response.status {
        case 200..<300:
            var options = JSONParser.Options.python
            options.depthMax = 64
            // A page of a proxy with status 200 is no answer of the server; it may be gone at the next attempt.
            guard let body = try? JSONParser.parse(response.body, options: options), body.object != nil else {
                throw Setback(message: "the server answered \(response.status) with no JSON object: \(text)")
            }
            return body["data"]?.array?.compactMap { $0["id"]?.string } ?? []
        case 408, 425, 429, 500...:
            let seconds = response.header("Retry-After").flatMap { Int($0) }.map { Duration.seconds(max(0, $0)) }
            throw Setback(message: "the server answered \(response.status): \(text)", retryAfter: seconds)
        default:
            throw ModelServerError(
                code: .refused, message: "\(Self.what): the server refused the request with status \(response.status): \(text)")
        }
    }

    /// The start of a text on one line.
    private static func excerpt(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > 300 ? line.prefix(300) + "…" : line
    }
}

/// Why a server told nothing of its models.
public struct ModelServerError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable {
        /// The server did not answer, or only with errors of its own, as often as it was asked.
        case serverFailed
        /// The server refuses the request as it is (status 400 to 499); asking again is of no use.
        case refused
    }

    public var code: Code
    public var message: String

    public var description: String { message }
}
