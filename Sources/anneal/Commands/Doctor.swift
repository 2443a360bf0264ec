import APITypes
import ArgumentParser
import Terminal

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that the daemon, its disk and its Python environment are well, and advise.",
        discussion: HelpText.discussion(
            "Each line is well (✓), could be better (!) or is wrong (✗). The exit code is 1 where something is wrong, and 5 where no daemon answers.",
            examples: "anneal doctor", "anneal doctor --deep --json"))

    @Flag(help: "Also import the trainer and ask a node of each cluster by a short job, which takes some seconds.")
    var deep = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let health = try client.get(HealthView.self, ["healthz"]).view
        let answer = try client.get(DoctorView.self, ["v1", "doctor"], query: deep ? [("deep", "true")] : [])
        var checks = answer.view.checks
        if shared.json {
            Output.json(answer.body)
        } else {
            let isSame = health.version == Version.number
            checks.insert(
                DoctorCheck(
                    name: "version", ok: isSame, detail: "anneal \(Version.number), anneald \(health.version)",
                    advice: isSame ? nil : "use the program and the daemon of one release"), at: 0)
            checks.insert(DoctorCheck(name: "daemon", ok: true, detail: "answers at \(client.endpoint.text), \(health.status)"), at: 0)
            Output.lines(checks.flatMap(Self.lines))
        }
        guard checks.allSatisfy(\.ok) else {
            throw CommandFailure(.failed, "\(checks.count { !$0.ok }) of \(checks.count) checks found something wrong")
        }
    }

    private static func lines(_ check: DoctorCheck) -> [StyledText] {
        let mark =
            switch check.level {
            case "ok": StyledText("✓ ", .green)
            case "warn": StyledText("! ", .yellow)
            default: StyledText("✗ ", .red)
            }
        let found = mark + StyledText(check.name, .bold) + StyledText(": \(check.detail)")
        return [found] + (check.advice.map { [StyledText("  → \($0)", .yellow)] } ?? [])
    }
}
