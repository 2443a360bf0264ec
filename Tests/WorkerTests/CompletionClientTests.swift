import EventLoop
import Generation
import JSON
import Testing

@Suite struct CompletionClientTests {
    private let request = CompletionRequest(
        model: "fake", messages: [["role": "user", "content": "7*10=?"]], settings: SamplingSettings(maxTokens: 8, temperature: 0), seed: 3)

    @LoopActor
    private final class Log {
        var lines: [String] = []
    }

    /// Asks a server in `mode` once; the result, the failed attempts' lines, and the number of requests that the server saw.
    private func ask(_ mode: String, timeout: Duration = .seconds(20)) async throws -> (Result<Completion, any Error>, [String], Int) {
        let server = try FakeServer(mode: mode)
        let url = server.url
        let (result, lines) = await Self.ask(url, timeout: timeout, request: request)
        return (result, lines, try server.remainingRequests().count)
    }

    @LoopActor
    private static func ask(_ url: String, timeout: Duration, request: CompletionRequest) async -> (Result<Completion, any Error>, [String])
    {
        let log = Log()
        let client = CompletionClient(
            baseURL: url, apiKey: "key", requestTimeout: timeout, firstDelay: .milliseconds(1), connectionsMax: 2,
            log: { log.lines.append($0) })
        do {
            return (.success(try await client.complete(request, name: "item 1")), log.lines)
        } catch {
            return (.failure(error), log.lines)
        }
    }

    @Test func anAnswerBringsTextTokensAndItsEnd() async throws {
        let (result, lines, count) = try await ask("good")
        let completion = try result.get()
        #expect(completion.content == "70" && completion.completionTokens == 2 && completion.finishReason == "stop")
        #expect(completion.endedAt >= completion.startedAt)
        #expect(lines.isEmpty && count == 1)
    }

    @Test(arguments: [("fail:2", 3), ("limit:4", 5)])
    func errorsOfTheServerAreTriedAgain(mode: String, requests: Int) async throws {
        let (result, lines, count) = try await ask(mode)
        #expect(try result.get().content == "70")
        #expect(count == requests && lines.count == requests - 1)
    }

    @Test(arguments: [("fail:9", "the model is on fire"), ("html", "a proxy says hello"), ("close", "item 1")])
    func afterFiveAttemptsTheServerHasFailed(mode: String, words: String) async throws {
        let (result, lines, count) = try await ask(mode)
        let error = try #require(throws: CompletionError.self) { try result.get() }
        #expect(error.code == .serverFailed && error.message.contains(words), "\(error.message)")
        #expect(lines.count == CompletionClient.attemptsMax - 1 && count >= CompletionClient.attemptsMax)
    }

    @Test func aServerThatHangsIsLeftAfterTheTimeout() async throws {
        let (result, lines, count) = try await ask("hang", timeout: .milliseconds(100))
        let error = try #require(throws: CompletionError.self) { try result.get() }
        #expect(error.code == .serverFailed)
        // The time may be up before the server has read the request.
        #expect(lines.count == CompletionClient.attemptsMax - 1 && count <= CompletionClient.attemptsMax)
    }

    @Test(arguments: [("refuse", "too long"), ("empty", "no chat completion")])
    func whatAskingAgainCannotMendIsReportedAtOnce(mode: String, words: String) async throws {
        let (result, lines, count) = try await ask(mode)
        let error = try #require(throws: CompletionError.self) { try result.get() }
        #expect(error.message.contains(words))
        #expect(lines.isEmpty && count == 1)
    }

    @Test func whereNobodyListensTheServerHasFailed() async throws {
        let (result, lines) = await Self.ask("http://127.0.0.1:1", timeout: .seconds(5), request: request)
        #expect(throws: CompletionError.self) { try result.get() }
        #expect(lines.count == 4)
    }
}
