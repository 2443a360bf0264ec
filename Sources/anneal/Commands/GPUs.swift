import APITypes
import ArgumentParser
import Terminal

struct GPUs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gpus",
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
                StyledText("\(gpu.index)"), StyledText(gpu.simulated ? "\(gpu.name) (simulated)" : gpu.name), state(gpu.state),
                StyledText(used + NumberText.bytes(gpu.memoryBytes)), reading(gpu.utilization, "%"), reading(gpu.temperature, "°C"),
                reading(gpu.powerWatts, "W"), StyledText(gpu.jobID ?? "–"), StyledText(gpu.uuid, .dim),
            ]
        }
        let columns: [Table.Column] = [
            .init("#", .right), .init("NAME", elastic: true), .init("STATE"), .init("MEMORY", .right), .init("LOAD", .right),
            .init("TEMP", .right),
            .init("POWER", .right), .init("JOB", elastic: true), .init("UUID", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no GPUs" + (view.message.map { ": \($0)" } ?? ""))
        if !rows.isEmpty, let message = view.message { Output.line(StyledText(message, .yellow)) }
        Output.line(
            StyledText("CPUs \(view.cpus.held) of \(view.cpus.total) held · memory \(NumberText.bytes(view.memoryBytes.held)) of ")
                + StyledText("\(NumberText.bytes(view.memoryBytes.total)) held"))
    }

    private func state(_ state: String) -> StyledText {
        switch state {
        case "free": StyledText(state, .green)
        case "busy": StyledText(state, .yellow)
        default: StyledText(state, .cyan)
        }
    }
}
