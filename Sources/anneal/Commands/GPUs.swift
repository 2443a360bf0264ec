import APITypes
import ArgumentParser
import Terminal

struct GPUs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gpus",
        abstract: "Show the GPUs, or take one out of use.",
        discussion: HelpText.discussion(examples: "anneal gpus", "anneal gpus drain 3 --reason 'its fan is loud'", "anneal gpus undrain 3"),
        subcommands: [GPUList.self, GPUDrain.self, GPUUndrain.self], defaultSubcommand: GPUList.self)
}

struct GPUList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the GPUs, what they do and which job holds them.",
        discussion: HelpText.discussion("Also shows how much of the machine's CPUs and memory is given out.", examples: "anneal gpus"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(GPUInventoryView.self, ["v1", "gpus"])
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        let rows: [[StyledText]] = view.data.map { gpu in
            func reading(_ value: Double?, _ unit: String) -> StyledText {
                value.map { StyledText("\(NumberText.fixed($0, decimals: 0)) \(unit)") } ?? StyledText("–", .dim)
            }
            let used = gpu.memoryUsedBytes.map { NumberText.bytes($0) + " / " } ?? ""
            return [
                StyledText("\(gpu.index)"), StyledText(gpu.simulated ? "\(gpu.name) (simulated)" : gpu.name), state(gpu),
                StyledText(used + NumberText.bytes(gpu.memoryBytes)), reading(gpu.utilization, "%"), reading(gpu.temperature, "°C"),
                reading(gpu.powerWatts, "W"), StyledText(holders(gpu)), StyledText(gpu.uuid, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init("#", .right), .init("NAME", elastic: true), .init("STATE"), .init("MEMORY", .right), .init("LOAD", .right),
            .init("TEMP", .right),
            .init("POWER", .right), .init("JOB", elastic: true), .init("UUID", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no GPUs" + (view.message.map { ": \($0)" } ?? ""))
        for gpu in view.data {
            if let reason = gpu.healthReason { Output.line(StyledText("GPU \(gpu.index) is out of use: \(reason)", .yellow)) }
        }
        if !rows.isEmpty, let message = view.message { Output.line(StyledText(message, .yellow)) }
        Output.line(
            StyledText("CPUs \(view.cpus.held) of \(view.cpus.total) held · memory \(NumberText.bytes(view.memoryBytes.held)) of ")
                + StyledText("\(NumberText.bytes(view.memoryBytes.total)) held"))
    }

    private func state(_ gpu: GPUView) -> StyledText {
        if gpu.health != "healthy" { return StyledText(gpu.health, gpu.health == "faulty" ? .red : .yellow) }
        switch gpu.state {
        case "free": return StyledText(gpu.state, .green)
        case "busy": return StyledText(gpu.state, .yellow)
        default:
            return StyledText(
                gpu.share > 0 && gpu.share < 1 ? "\(NumberText.fixed(gpu.share * 100, decimals: 0)) % \(gpu.state)" : gpu.state, .cyan)
        }
    }

    private func holders(_ gpu: GPUView) -> String {
        gpu.holders.isEmpty ? gpu.jobID ?? "–" : gpu.holders.map(\.jobID).joined(separator: ", ")
    }
}
