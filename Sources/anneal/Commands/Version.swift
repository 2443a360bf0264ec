import APITypes
import ArgumentParser
import JSON
import Terminal

struct Version: ParsableCommand {
    /// The version of this program.
    static let number = "0.1.0"

    static let configuration = CommandConfiguration(
        abstract: "Show the versions of this program and of the daemon.",
        discussion: HelpText.discussion(examples: "anneal version", "anneal version --json"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        // An unreachable daemon is worth a line here, and no failure: the program's own version was asked for too.
        let health = try? client.get(HealthView.self, ["healthz"]).view
        if shared.json {
            let daemon = try JSONValue(encoding: health)
            Output.json(JSONWriter().bytes(of: ["anneal": .string(Self.number), "anneald": daemon]))
            return
        }
        Output.write("anneal \(Self.number)\n")
        Output.write(
            health.map { "anneald \($0.version) at \(client.endpoint.text) (\($0.status))\n" }
                ?? "no daemon answers at \(client.endpoint.text)\n")
    }
}
