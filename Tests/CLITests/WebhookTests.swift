import APITypes
import JSON
import Testing

@Suite struct WebhookTests {
    private static let id = "hook_01k9w3c2vn0000a7k3d9m2x5q8"
    private static let list = "GET /v1/webhooks"

    private static func hook(project: String? = nil, secret: String? = nil) -> WebhookView {
        WebhookView(
            id: id, url: "https://ci.example.com/anneal", types: ["job.failed", "experiment.*"], project: project, createdAt: Sample.time,
            secret: secret)
    }

    @Test func theSecretIsPrintedOnceWhenAWebhookIsMade() throws {
        let made = try Script.json(Self.hook(project: "vision", secret: "whsec_c2VjcmV0"), status: 201)
        try CLIFixture.with(["POST /v1/webhooks": [made]]) { (fixture) throws in
            let run = try fixture.run(
                "webhooks", "create", "https://ci.example.com/anneal", "--event", "job.failed", "--event", "experiment.*", "--project",
                "vision")
            #expect(run.status == 0, "\(run.errors)")
            let lines = run.output.split(separator: "\n").map(String.init)
            #expect(lines.first == Self.id && lines.last == "secret   whsec_c2VjcmV0")
            #expect(lines.contains("url      https://ci.example.com/anneal") && lines.contains("events   job.failed experiment.*"))
            #expect(run.errors.contains("not shown again") && !run.errors.contains("whsec_"))
            let request = try #require(try fixture.requests().last)
            #expect(request.headers["content-type"] == "application/json")
            #expect(
                request.body == #"{"url":"https://ci.example.com/anneal","types":["job.failed","experiment.*"],"project":"vision"}"#)
            let json = try fixture.run("webhooks", "create", "http://127.0.0.1:1/", "--json")
            #expect(try JSONParser.parse(json.output)["secret"]?.string == "whsec_c2VjcmV0" && json.errors.isEmpty)
            #expect(try fixture.requests().last?.body == #"{"url":"http://127.0.0.1:1/"}"#)
        }
    }

    @Test func webhooksAreListedAndShownWithoutTheirSecret() throws {
        let views = WebhookListView(data: [Self.hook(), Self.hook(project: "vision")])
        try CLIFixture.with([Self.list: [try Script.json(views)]]) { (fixture) throws in
            let output = try fixture.run("webhooks").output
            #expect(output.hasPrefix("ID ") && output.contains("https://ci.example.com/anneal  job.failed experiment.*  all      "))
            #expect(output.contains("  vision   "))
            let show = try fixture.run("webhooks", "show", Self.id)
            #expect(show.output.contains("project  all\n") && !show.output.contains("secret"))
            #expect(try JSONParser.parse(try fixture.run("webhooks", "show", Self.id, "--json").output)["id"]?.string == Self.id)
            let missing = try fixture.run("webhooks", "show", "hook_x")
            #expect(missing.status == 3 && missing.errors == "anneal: there is no webhook 'hook_x'\n")
        }
        try CLIFixture.with([Self.list: [try Script.json(WebhookListView(data: []))]]) { (fixture) throws in
            #expect(try fixture.run("webhooks", "list").output == "no webhooks\n")
        }
    }

    @Test func webhooksArePingedReplayedAndDeleted() throws {
        let done: JSONValue = ["status": 204, "body": ""]
        let script: Script = [
            "POST /v1/webhooks/\(Self.id)/ping": [done], "POST /v1/webhooks/\(Self.id)/deliveries/msg_1/replay": [done],
            "POST /v1/webhooks/\(Self.id)/deliveries/msg_2/replay": [try Script.problem(404, "Not found", "there is no delivery 'msg_2'")],
            "DELETE /v1/webhooks/\(Self.id)": [done, try Script.problem(404, "Not found", "there is no webhook")],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            #expect(try fixture.run("webhooks", "ping", Self.id).output == "\(Self.id): will be sent a ping\n")
            let replay = try fixture.run("webhooks", "replay", Self.id, "msg_1", "msg_2")
            #expect(replay.status == 3 && replay.output == "msg_1: will be sent again\n")
            #expect(replay.errors == "anneal: Not found: there is no delivery 'msg_2'\n")
            #expect(try fixture.run("webhooks", "delete", Self.id).output == "\(Self.id): deleted\n")
            #expect(try fixture.run("webhooks", "delete", Self.id).status == 3)
        }
    }

    @Test func deliveriesAreListedPageByPage() throws {
        let delivered = DeliveryView(
            id: "msg_2", state: "delivered", tries: 1, nextAt: nil, status: 200, message: nil, createdAt: Sample.time)
        let waiting = DeliveryView(
            id: "msg_1", state: "waiting", tries: 3, nextAt: "2099-01-01T00:00:00Z", status: nil, message: "connection refused",
            createdAt: Sample.time)
        let path = "GET /v1/webhooks/\(Self.id)/deliveries"
        let script: Script = [
            "\(path)?limit=200": [try Script.page(delivered, next: "msg_2")], "\(path)?limit=200&after=msg_2": [try Script.page(waiting)],
            "\(path)?limit=50": [try Script.page(delivered, waiting)],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            let lines = try fixture.run("webhooks", "deliveries", Self.id, "--all").output.split(separator: "\n").map(String.init)
            #expect(lines.count == 3 && lines[0].contains("STATE") && lines[1].hasPrefix("msg_2  delivered      1     200  "))
            #expect(
                lines.last?.hasPrefix("msg_1  waiting        3       –  ") == true && lines.last?.hasSuffix("connection refused") == true)
            let json = try JSONParser.parse(try fixture.run("webhooks", "deliveries", Self.id, "--json").output)
            #expect(json["data"]?.array?.count == 2)
        }
    }
}
