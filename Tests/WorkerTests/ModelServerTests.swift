import EventLoop
import Generation
import JSON
import Testing

@Suite struct ModelServerTests {
    @LoopActor
    private final class Log {
        var lines: [String] = []
    }

    /// Asks a server in `mode` for its models once; the result, the failed attempts' lines, and the requests that the server saw.
    private func ask(_ mode: String, timeout: Duration = .seconds(20)) async throws -> (Result<[String], any Error>, [String], [JSONValue])
    {
        let server = try FakeServer(mode: mode)
        let (result, lines) = await Self.ask(server.url, timeout: timeout)
        return (result, lines, try server.remainingRequests())
    }

    @LoopActor
    private static func ask(_ url: String, timeout: Duration) async -> (Result<[String], any Error>, [String]) {
        let log = Log()
        let server = ModelServer(
            baseURL: url, apiKey: "key", connectionsMax: 2, requestTimeout: timeout, firstDelay: .milliseconds(1),
            log: { log.lines.append($0) })
        do {
            return (.success(try await server.models()), log.lines)
        } catch {
            return (.failure(error), log.lines)
        }
    }

    @Test func modelsAreListedForThoseWhoHaveTheKey() async throws {
        let (result, lines, requests) = try await ask("list")
        #expect(try result.get() == ["fake"])
        #expect(lines.isEmpty && requests.map { $0["authorization"] } == ["Bearer key"])
    }

    @Test(arguments: [("fail:2", 3), ("limit:4", 5)])
    func errorsOfTheServerAreTriedAgain(mode: String, count: Int) async throws {
        let (result, lines, requests) = try await ask(mode)
        #expect(try result.get() == ["fake"])
        #expect(requests.count == count && lines.count == count - 1)
    }

    @Test(arguments: [("fail:9", "the model is on fire"), ("html", "a proxy says hello"), ("close", "the list of models")])
    func afterFiveAttemptsTheServerHasFailed(mode: String, words: String) async throws {
        let (result, lines, requests) = try await ask(mode)
        let error = try #require(throws: ModelServerError.self) { try result.get() }
        #expect(error.code == .serverFailed && error.message.contains(words), "\(error.message)")
        #expect(lines.count == ModelServer.attemptsMax - 1 && requests.count >= ModelServer.attemptsMax)
    }

    @Test func aServerThatHangsIsLeftAfterTheTimeout() async throws {
        let (result, lines, requests) = try await ask("hang", timeout: .milliseconds(100))
        let error = try #require(throws: ModelServerError.self) { try result.get() }
        #expect(error.code == .serverFailed)
        // The time may be up before the server has read the request.
        #expect(lines.count == ModelServer.attemptsMax - 1 && requests.count <= ModelServer.attemptsMax)
    }

    @Test func aRefusalIsReportedAtOnce() async throws {
        let (result, lines, requests) = try await ask("refuse")
        let error = try #require(throws: ModelServerError.self) { try result.get() }
        #expect(error.code == .refused && error.message.contains("the key is unknown"))
        #expect(lines.isEmpty && requests.count == 1)
    }

    @Test func whereNobodyListensTheServerHasFailed() async throws {
        let (result, lines) = await Self.ask("http://127.0.0.1:1", timeout: .seconds(5))
        #expect(throws: ModelServerError.self) { try result.get() }
        #expect(lines.count == ModelServer.attemptsMax - 1)
    }
}
