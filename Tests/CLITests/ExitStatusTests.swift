import APITypes
import Foundation
import JSON
import Testing

@Suite struct ExitStatusTests {
    @Test func successPrintsTheBodyAsItCame() throws {
        // Odd spacing would not survive a decoding.
        let body = #"{ "data" : [ ], "has_more":false,"next":null,  "more": 1.0 }"#
        try CLIFixture.with(["GET /v1/queue": [["body": .string(body)]]]) { fixture in
            let run = try fixture.run("queue", "--json")
            #expect(run.status == 0)
            #expect(run.output == body + "\n")
            #expect(run.errors.isEmpty)
        }
    }

    @Test(arguments: [
        (400, 2), (401, 2), (404, 3), (409, 4), (422, 2), (500, 1), (503, 5),
    ]) func problemsMapToExitCodes(httpStatus: Int, exitCode: Int32) throws {
        try CLIFixture.with(["POST /v1/jobs/\(Sample.jobID(1))/cancel": [Script.problem(httpStatus, "It failed", "because of this")]]) {
            fixture in
            let run = try fixture.run("cancel", Sample.jobID(1))
            #expect(run.status == exitCode)
            #expect(run.errors == "anneal: It failed: because of this\n")
            #expect(run.output.isEmpty)
        }
    }

    @Test func withJSONTheProblemStandsOnStandardOutput() throws {
        try CLIFixture.with(["GET /v1/experiments/\(Sample.experimentID)": [Script.problem(404, "Not found", "no such experiment")]]) {
            fixture in
            let run = try fixture.run("show", Sample.experimentID, "--json")
            #expect(run.status == 3)
            #expect(try ProblemView(decoding: JSONParser.parse(run.output)).detail == "no such experiment")
            #expect(run.errors == "anneal: Not found: no such experiment\n")
        }
    }

    @Test func anUnreachableDaemonIsFive() throws {
        let folder = NSTemporaryDirectory()
        // Port 1 is privileged and unused.
        let run = try CLIFixture.run(["ls"], environment: ["ANNEAL_URL": "http://127.0.0.1:1"], folder: folder)
        #expect(run.status == 5)
        #expect(run.errors.hasPrefix("anneal: no daemon answers at http://127.0.0.1:1: "))
        let socket = try CLIFixture.run(["ls", "--url", "unix:///nonexistent/socket"], environment: [:], folder: folder)
        #expect(socket.status == 5)
    }

    @Test(arguments: [
        (["frobnicate"], "frobnicate"), (["submit"], "<file>"), (["submit", "a", "--wait", "--watch"], "--watch waits already"),
        (["submit", "x.yaml", "--set", "novalue"], "PATH=VALUE"),
        (["submit", "/nonexistent.yaml"], "cannot read /nonexistent.yaml: No such file"),
        (["submit", "/"], "cannot read /: Is a directory"), (["ls", "--url", "gopher://x"], "no address of a daemon"),
        (["priority", "toy/sft", "101"], "0 to 100"),
        (["metrics", "toy/sft", "--csv", "--json"], "exclude each other"),
        (["plot", "toy/sft", "--smooth", "1.5"], "from 0 to 1"), (["plot", "toy/sft", "--smooth", "nan"], "from 0 to 1"),
        (["plot", "toy/sft", "--points", "0"], "--points"), (["plot", "toy/sft", "--by", "day"], "'day'"),
        (["plot", "toy/sft", "--follow", "--json"], "--follow draws"), (["plot"], "<job>"),
        (["usage", "--since", "yesterday"], "'yesterday' is no time"), (["usage", "--by", "team"], "'team'"),
        (["webhooks", "create", "ftp://x"], "no http:// or https:// address"), (["webhooks", "replay", "hook_1"], "<message>"),
    ]) func wrongUsageIsTwoAndSaysWhatIsWrong(arguments: [String], message: String) throws {
        let run = try CLIFixture.run(arguments, environment: ["ANNEAL_URL": "http://127.0.0.1:1"], folder: NSTemporaryDirectory())
        #expect(run.status == 2)
        #expect(run.errors.hasPrefix("anneal: ") && run.errors.contains(message))
        #expect(run.output.isEmpty)
    }

    @Test func anAnswerThatIsNoneOfTheDaemonsIsToldInOneLine() throws {
        let proxy: JSONValue = ["status": 502, "type": "text/html", "body": "<html>Bad gateway\u{1B}[31m</html>\nmore"]
        try CLIFixture.with(["GET /v1/gpus": [proxy], "GET /v1/queue": [["body": "{\"data\":7}"]]]) { fixture in
            let gateway = try fixture.run("gpus")
            #expect(gateway.status == 1)
            #expect(gateway.errors == "anneal: the server answered with HTTP status 502: <html>Bad gateway [31m</html>\n")
            let shape = try fixture.run("queue")
            #expect(shape.status == 1)
            #expect(shape.errors.contains("not what this version expects: /data: expected an array, found an integer"))
        }
    }

    @Test func everyCommandHasHelpWithExamplesAndExitCodes() throws {
        let commands = [
            "submit", "validate", "ls", "show", "watch", "logs", "metrics", "plot", "cancel", "retry", "pause", "resume", "priority",
            "explain", "top", "gpus", "gpus list", "gpus drain", "gpus undrain", "projects", "projects list", "projects set", "hold",
            "release",
            "queue", "datasets", "datasets ls", "datasets upload", "datasets show", "datasets content", "checkpoints", "checkpoints ls",
            "checkpoints show",
            "checkpoints pin", "checkpoints unpin", "checkpoints rm", "evaluations", "evaluations ls", "evaluations show", "compare",
            "lineage", "doctor", "backup", "restore", "gc", "version", "usage", "webhooks", "webhooks list", "webhooks create",
            "webhooks show", "webhooks delete",
            "webhooks ping", "webhooks deliveries", "webhooks replay",
        ]
        for command in commands {
            let run = try CLIFixture.run(
                command.split(separator: " ").map(String.init) + ["--help"], environment: [:], folder: NSTemporaryDirectory())
            #expect(run.status == 0, "\(command)")
            for part in ["OVERVIEW: ", "EXAMPLES:\n  ", "EXIT CODES:", "5 daemon unreachable"] {
                #expect(run.output.contains(part), "\(command): \(part)")
            }
            if !["datasets", "checkpoints", "evaluations", "gpus", "projects", "webhooks"].contains(command) {
                #expect(run.output.contains("--json"), "\(command)")
            }
        }
        let whole = try CLIFixture.run(["--help"], environment: [:], folder: NSTemporaryDirectory())
        #expect(whole.status == 0 && whole.output.contains("ANNEAL_TOKEN"))
    }
}
