import EventLoop
import Glibc
import HTTPClient
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct BlockingHTTPClientTests {
    /// Performs on a thread of its own, since the loop serves.
    private static func perform(
        _ request: HTTPClientRequest, onChunk: (@Sendable ([UInt8]) -> Bool)? = nil, uploadFile: String? = nil,
        onProgress: (@Sendable (Int64, Int64) -> Bool)? = nil
    ) async throws -> HTTPClientResponse {
        try await BlockingThread(name: "client").run {
            try BlockingHTTPClient.perform(request, onChunk: onChunk, uploadFile: uploadFile, onProgress: onProgress)
        }
    }

    private static func text(_ response: HTTPClientResponse) -> String { String(decoding: response.body, as: UTF8.self) }

    private static func temporaryFile(_ bytes: [UInt8]) -> String {
        var template = Array("/tmp/httpclient-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        var rest = bytes[...]
        while !rest.isEmpty { rest = rest.dropFirst(max(0, rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) })) }
        close(file)
        return path(template)
    }

    private static func path(_ template: [CChar]) -> String {
        String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test @LoopActor func aRequestIsAnswered() async throws {
        try await TestServer.with { url in
            let response = try await Self.perform(
                HTTPClientRequest(url: "\(url)/echo", method: "PATCH", headers: [("Content-Type", "a/b")], body: [120]))
            #expect(Self.text(response) == "PATCH /echo  type=a/b x")
        }
    }

    @Test @LoopActor func aUnixSocketIsUsedInPlaceOfTheHost() async throws {
        var template = Array("/tmp/httpclient-XXXXXX".utf8CString)
        let folder = String(cString: mkdtemp(&template))
        try await TestServer.with(unixPath: "\(folder)/s") { _ in
            let request = HTTPClientRequest(url: "http://anneal/echo", unixSocketPath: "\(folder)/s")
            let blocking = try await Self.perform(request)
            let onLoop = try await HTTPClient().send(request)
            #expect(blocking.status == 200 && onLoop.status == 200)
        }
        rmdir(folder)
    }

    @Test @LoopActor func aFileIsUploadedWithProgress() async throws {
        let size = 5_000_000
        let path = Self.temporaryFile([UInt8](repeating: 120, count: size))
        let progress = Mutex<[Int64]>([])
        try await TestServer.with { url in
            let response = try await Self.perform(
                HTTPClientRequest(url: "\(url)/echo", method: "POST"), uploadFile: path,
                onProgress: { sent, total in
                    progress.withLock { $0.append(sent) }
                    return total == 0 || total == Int64(size)
                })
            #expect(Self.text(response) == "POST /echo  type=none \(size) bytes")
        }
        #expect(progress.withLock { $0.max() } == Int64(size))
        unlink(path)
    }

    @Test @LoopActor func anUploadIsEndedByItsProgress() async throws {
        let path = Self.temporaryFile([UInt8](repeating: 120, count: 1_000_000))
        try await TestServer.with { url in
            let error = await #expect(throws: HTTPClientError.self) {
                let request = HTTPClientRequest(url: "\(url)/echo", method: "POST")
                return try await Self.perform(request, uploadFile: path, onProgress: { _, _ in false })
            }
            #expect(error?.code == .aborted)
        }
        unlink(path)
    }

    @Test @LoopActor func aMissingFileIsNamedInTheError() async {
        let error = await #expect(throws: HTTPClientError.self) {
            try await Self.perform(HTTPClientRequest(url: "http://127.0.0.1:9/", method: "POST"), uploadFile: "/nonexistent/file")
        }
        #expect(error?.code == .invalidRequest)
        #expect(error?.message == "/nonexistent/file: No such file or directory")
    }

    @Test @LoopActor func aStreamIsHandedOverAndCanBeEnded() async throws {
        try await TestServer.with { url in
            let text = Mutex("")
            let request = HTTPClientRequest(url: "\(url)/events", timeout: nil)
            _ = try await Self.perform(
                request,
                onChunk: { chunk in
                    text.withLock { $0 += String(decoding: chunk, as: UTF8.self) }
                    return true
                })
            #expect(text.withLock { $0 } == "data: 0\n\ndata: 1\n\ndata: 2\n\n")
            let error = await #expect(throws: HTTPClientError.self) { try await Self.perform(request, onChunk: { _ in false }) }
            #expect(error?.code == .aborted)
        }
    }

    @Test @LoopActor func aServerThatDoesNotAnswerIsATimeOut() async throws {
        try await TestServer.with { url in
            let error = await #expect(throws: HTTPClientError.self) {
                try await Self.perform(HTTPClientRequest(url: "\(url)/never", timeout: .milliseconds(50)))
            }
            #expect(error?.code == .timedOut)
        }
    }
}
