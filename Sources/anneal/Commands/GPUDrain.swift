import APITypes
import ArgumentParser
import JSON

struct GPUDrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Take a GPU out of use: who holds it keeps it, nobody new gets it.",
        discussion: HelpText.discussion("Lasts over restarts until 'anneal gpus undrain'.", examples: "anneal gpus drain 3 --reason 'fan'"))

    @Argument(help: ArgumentHelp("A GPU's number or UUID.", valueName: "gpu"))
    var gpu: String

    @Option(help: "Why, for the others.")
    var reason: String?

    @OptionGroup var shared: SharedOptions

    func run() throws {
        var body: JSONObject = [:]
        if let reason { body["reason"] = .string(reason) }
        let answer = try shared.client().send(
            "POST", ["v1", "gpus", gpu, "drain"], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: .object(body)))
        if shared.json { Output.json(answer) } else { Output.write("\(gpu): drained\n") }
    }
}

struct GPUUndrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undrain",
        abstract: "Put a GPU back into use.",
        discussion: HelpText.discussion(examples: "anneal gpus undrain 3"))

    @Argument(help: ArgumentHelp("A GPU's number or UUID.", valueName: "gpu"))
    var gpu: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().send("POST", ["v1", "gpus", gpu, "undrain"], headers: [], body: [])
        if shared.json { Output.json(answer) } else { Output.write("\(gpu): in use again\n") }
    }
}
