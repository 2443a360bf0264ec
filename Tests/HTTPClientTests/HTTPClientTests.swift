import EventLoop
import Glibc
import HTTPClient
import HTTPServer
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPClientTests {
    @Test @LoopActor func aRequestArrivesAndItsAnswerComesBack() async throws {
        try await TestServer.with { url in
            let client = HTTPClient()
            let response = try await client.send(
                HTTPClientRequest(
                    url: "\(url)/echo?x=1", method: "POST", headers: [("X-Test", "yes"), ("X-Empty", "")], body: Array("hello".utf8)))
            #expect(response.status == 200)
            #expect(response.header("content-TYPE") == "text/plain")
            #expect(String(decoding: response.body, as: UTF8.self) == "POST /echo x-test=yes x-empty= type=none hello")
        }
    }

    @Test(arguments: ["GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"])
    @LoopActor func methodsAreSentAsGiven(method: String) async throws {
        try await TestServer.with { url in
            let response = try await HTTPClient().send(HTTPClientRequest(url: "\(url)/echo", method: method))
            #expect(String(decoding: response.body, as: UTF8.self).hasPrefix("\(method) /echo "))
        }
    }

    @Test @LoopActor func headHasFieldsAndNoBody() async throws {
        try await TestServer.with { url in
            let response = try await HTTPClient().send(HTTPClientRequest(url: "\(url)/echo", method: "HEAD"))
            #expect(response.status == 200 && response.body.isEmpty)
            #expect(response.header("Content-Length") != nil)
        }
    }

    @Test @LoopActor func anErrorStatusIsAnAnswer() async throws {
        try await TestServer.with { url in
            let response = try await HTTPClient().send(HTTPClientRequest(url: "\(url)/missing"))
            #expect(response.status == 404 && !response.isSuccess)
            #expect(String(decoding: response.body, as: UTF8.self) == "nothing here")
        }
    }

    @Test @LoopActor func manyRequestsRunAtOnceOverFewConnections() async throws {
        try await TestServer.with { url in
            let client = HTTPClient(connectionsMax: 4)
            let statuses = await withTaskGroup(of: Int.self) { group in
                for number in 0..<100 {
                    group.addTask { (try? await client.send(HTTPClientRequest(url: "\(url)/echo?\(number)")).status) ?? 0 }
                }
                var statuses: [Int] = []
                for await status in group { statuses.append(status) }
                return statuses
            }
            #expect(statuses == [Int](repeating: 200, count: 100))
        }
    }

    @Test @LoopActor func responseBytesMaxAtTheLimitAndPastIt() async throws {
        try await TestServer.with { url in
            let client = HTTPClient()
            let whole = try await client.send(HTTPClientRequest(url: "\(url)/bytes/1000", responseBytesMax: 1000))
            #expect(whole.body.count == 1000)
            let error = await #expect(throws: HTTPClientError.self) {
                try await client.send(HTTPClientRequest(url: "\(url)/bytes/1001", responseBytesMax: 1000))
            }
            #expect(error?.code == .tooLarge)
            // The client is as good as before.
            #expect(try await client.send(HTTPClientRequest(url: "\(url)/echo")).status == 200)
        }
    }

    @Test @LoopActor func aServerThatDoesNotAnswerIsATimeOut() async throws {
        try await TestServer.with { url in
            let error = await #expect(throws: HTTPClientError.self) {
                try await HTTPClient().send(HTTPClientRequest(url: "\(url)/never", timeout: .milliseconds(50)))
            }
            #expect(error?.code == .timedOut)
        }
    }

    @Test @LoopActor func nobodyThereIsAFailedConnection() async throws {
        // Port 1 (tcpmux) has no server here; one that was just given up might be taken by another test.
        let port = 1
        let error = await #expect(throws: HTTPClientError.self) {
            try await HTTPClient().send(HTTPClientRequest(url: "http://127.0.0.1:\(port)/"))
        }
        #expect(error?.code == .connectionFailed)
        #expect(error?.curlCode == 7)
        #expect(error?.message.contains("127.0.0.1") == true)
    }

    @Test(arguments: ["", "no url", "ftp://127.0.0.1/", "file:///etc/hostname"])
    @LoopActor func aURLThatIsNoneIsRefused(url: String) async {
        let error = await #expect(throws: HTTPClientError.self) { try await HTTPClient().send(HTTPClientRequest(url: url)) }
        #expect(error?.code == .invalidURL || error?.code == .connectionFailed)
    }

    @Test @LoopActor func aLineEndInAFieldIsRefused() async {
        let error = await #expect(throws: HTTPClientError.self) {
            try await HTTPClient().send(HTTPClientRequest(url: "http://127.0.0.1/", headers: [("X", "a\r\nY: b")]))
        }
        #expect(error?.code == .invalidRequest)
    }

    @Test @LoopActor func cancellingTheTaskEndsTheTransferAndTheServerSeesIt() async throws {
        try await TestServer.with { url in
            let task = Task { try await HTTPClient().send(HTTPClientRequest(url: "\(url)/held", timeout: nil)) }
            _ = await TestServer.began.awaited()
            task.cancel()
            let result = await task.result
            #expect(throws: HTTPClientError.self) { try result.get() }
            #expect(await TestServer.gone.awaited() != nil)
        }
    }

    @Test @LoopActor func aCancelledTaskSendsNothing() async throws {
        let task = Task { @LoopActor in
            withUnsafeCurrentTask { $0?.cancel() }
            return try await HTTPClient().send(HTTPClientRequest(url: "http://127.0.0.1:9/"))
        }
        let error = await #expect(throws: HTTPClientError.self) { try await task.value }
        #expect(error?.code == .aborted)
    }

    @Test @LoopActor func aStreamIsHandedOverPieceByPiece() async throws {
        try await TestServer.with { url in
            var status = 0
            var text = ""
            let response = try await HTTPClient().stream(HTTPClientRequest(url: "\(url)/events"), onHead: { status = $0.status }) { chunk in
                #expect(status == 200)
                text += String(decoding: chunk, as: UTF8.self)
                return true
            }
            #expect(text == "data: 0\n\ndata: 1\n\ndata: 2\n\n")
            #expect(response.body.isEmpty)
        }
    }

    @Test @LoopActor func theReceiverOfAStreamCanEndIt() async throws {
        try await TestServer.with { url in
            let error = await #expect(throws: HTTPClientError.self) {
                try await HTTPClient().stream(HTTPClientRequest(url: "\(url)/events")) { _ in false }
            }
            #expect(error?.code == .aborted)
        }
    }

    @Test @LoopActor func theBodyOfAFailedStreamIsCollected() async throws {
        try await TestServer.with { url in
            let response = try await HTTPClient().stream(HTTPClientRequest(url: "\(url)/missing")) { _ in
                Issue.record("not for the receiver")
                return true
            }
            #expect(response.status == 404)
            #expect(String(decoding: response.body, as: UTF8.self) == "nothing here")
        }
    }

    @Test @LoopActor func redirectsAreFollowedOnlyWhenAsked() async throws {
        try await TestServer.with { url in
            #expect(try await HTTPClient().send(HTTPClientRequest(url: "\(url)/moved")).status == 302)
            let followed = try await HTTPClient().send(HTTPClientRequest(url: "\(url)/moved", redirectsMax: 1))
            #expect(followed.status == 200)
            #expect(followed.headers.filter { $0.name.lowercased() == "location" }.isEmpty)
        }
    }
}
