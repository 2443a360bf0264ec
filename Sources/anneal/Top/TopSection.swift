import APITypes
import Domain
import Terminal

/// One part of the screen: a heading and rows below it.
struct TopSection {
    var heading: StyledText
    var rows: [StyledText]
    /// Identifiers of the jobs that the rows stand for; empty where they cannot be selected.
    var ids: [String] = []
    /// What stands in the heading's place where there are no rows.
    var nothing: StyledText?

    /// Rows of the screen that show everything.
    var height: Int { rows.isEmpty ? (nothing == nil ? 0 : 1) : rows.count + 1 }

    init(_ table: Table, columns: Int?, ids: [String] = [], nothing: StyledText? = nil) {
        let lines = table.lines(width: columns)
        heading = lines.first ?? ""
        rows = Array(lines.dropFirst())
        self.ids = ids
        self.nothing = nothing
    }
}

/// The parts of the screen as tables.
struct TopSections {
    private static let barWidth = 10

    let model: TopModel
    /// `nil` where nothing is cut.
    let columns: Int?

    var all: [TopSection] { [gpus, active, queue, failed] }

    private var gpus: TopSection {
        let view = model.snapshot.gpus
        let names = names
        let rows: [[StyledText]] = view.data.map { gpu in
            func reading(_ value: Double?, _ unit: String) -> StyledText {
                value.map { StyledText("\(NumberText.fixed($0, decimals: 0)) \(unit)") } ?? StyledText("–", .dim)
            }
            return [
                StyledText("\(gpu.index)"), name(gpu),
                load(gpu.utilization), memory(gpu), reading(gpu.temperature, "°C"), reading(gpu.powerWatts, "W"), holder(gpu, names),
            ]
        }
        let table = Table(
            [
                .init("GPU", .right), .init("NAME", elastic: true), .init("LOAD"), .init("MEMORY", .right), .init("TEMP", .right),
                .init("POWER", .right), .init("JOB", elastic: true),
            ], rows: rows)
        let nothing = StyledText("no GPUs" + (view.message.map { ": \($0)" } ?? ""), .dim)
        return TopSection(table, columns: columns, nothing: nothing)
    }

    /// Names of the jobs that hold something or wait for it, by identifier.
    private var names: [String: String] {
        let waiting = model.snapshot.queue.map { ($0.jobID, "\($0.experiment)/\($0.name)") }
        return Dictionary(waiting + model.snapshot.active.map { ($0.id, $0.fullName) }, uniquingKeysWith: { $1 })
    }

    private func name(_ gpu: GPUView) -> StyledText {
        let saysSo = gpu.name.lowercased().contains("simulated")
        return StyledText(gpu.name) + (gpu.simulated && !saysSo ? StyledText(" (simulated)", .dim) : "")
    }

    private func load(_ percent: Double?) -> StyledText {
        guard let percent else { return StyledText("–", .dim) }
        let share = StyledText("\(NumberText.fixed(percent, decimals: 0)) %").padded(to: 6, alignment: .right)
        return StyledText(ProgressBar.text(fraction: percent / 100, width: Self.barWidth), percent < 80 ? .cyan : .green) + share
    }

    private func memory(_ gpu: GPUView) -> StyledText {
        let total = NumberText.bytes(gpu.memoryBytes)
        guard let used = gpu.memoryUsedBytes else { return StyledText(total) }
        let gibibytes = Double(1 << 30)
        return StyledText("\(NumberText.fixed(Double(used) / gibibytes, decimals: 1))/\(total)")
    }

    private func holder(_ gpu: GPUView, _ names: [String: String]) -> StyledText {
        if gpu.health != "healthy" { return StyledText(gpu.healthReason ?? gpu.health, gpu.health == "faulty" ? .red : .yellow) }
        let ids = gpu.holders.isEmpty ? gpu.jobID.map { [$0] } ?? [] : gpu.holders.map(\.jobID)
        if ids.isEmpty { return gpu.state == "free" ? StyledText("free", .dim) : StyledText(gpu.state, .yellow) }
        return StyledText(ids.map { names[$0] ?? $0 }.joined(separator: ", "))
    }

    private var active: TopSection {
        let jobs = model.active
        let rows: [[StyledText]] = jobs.map { job in
            let loss = model.snapshot.losses[job.id]
            let step = job.progress.map(ProgressText.count) ?? loss.map { "\($0.step)" }
            let rate = job.progress?.ratePerSecond.flatMap { $0 > 0 ? ProgressText.rate($0) : nil }
            let left = job.progress?.secondsLeft.flatMap { $0 > 0 ? SpanText.exact(seconds: $0) : nil }
            func text(_ text: String?) -> StyledText { text.map { StyledText($0) } ?? StyledText("–", .dim) }
            return [
                StateText.mark(job.state), StyledText(job.fullName), StateText.name(job.state), text(step), text(rate),
                text(loss.map { NumberText.significant($0.value) }), text(left), StyledText(gpuCount(job)), StyledText("\(job.priority)"),
                Moment.span(from: job.startedAt, to: nil),
            ]
        }
        let table = Table(
            [
                .init(""), .init("RUNNING (\(jobs.count { $0.state == "running" }))", elastic: true), .init("STATE"), .init("STEP", .right),
                .init("RATE", .right), .init("LOSS", .right), .init("LEFT", .right), .init("GPUS", .right), .init("PRIO", .right),
                .init("RAN", .right),
            ], rows: rows)
        return TopSection(table, columns: columns, ids: jobs.map(\.id), nothing: StyledText("nothing runs", .dim))
    }

    /// The GPUs that the job holds, or a part of one.
    private func gpuCount(_ job: JobView) -> String {
        guard let attempt = job.attempts.last, !StateText.isTerminal(attempt.state), !attempt.gpus.isEmpty else { return "–" }
        let isPart = attempt.gpuShare > 0 && attempt.gpuShare < 1
        return isPart ? NumberText.significant(attempt.gpuShare, digits: 2) : "\(attempt.gpus.count)"
    }

    private var queue: TopSection {
        let entries = model.queue
        let names = names
        let rows: [[StyledText]] = entries.map { entry in
            [
                StyledText(entry.position.map { "\($0 + 1)" } ?? "–"), StyledText("\(entry.experiment)/\(entry.name)"),
                StyledText("\(entry.priority)"), StyledText(ResourceText.brief(entry.resources)), Moment.age(entry.queuedAt),
                StyledText(Self.named(entry.message ?? entry.reason ?? "–", names)),
            ]
        }
        let count = "\(model.snapshot.queue.count)\(model.snapshot.queueHasMore ? "+" : "")"
        let table = Table(
            [
                .init("#", .right), .init("QUEUE (\(count))", elastic: true), .init("PRIO", .right), .init("WANTS"), .init("SINCE", .right),
                .init("WHY IT WAITS", elastic: true),
            ], rows: rows)
        return TopSection(table, columns: columns, ids: entries.map(\.jobID), nothing: StyledText("nothing waits", .dim))
    }

    /// The text with the names of jobs in place of their identifiers, which nobody knows by heart.
    private static func named(_ text: String, _ names: [String: String]) -> String {
        guard text.contains("job_") else { return text }
        return text.split(separator: " ", omittingEmptySubsequences: false).map { word in
            let id = word.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            return names[String(id)].map { $0 + word.dropFirst(id.count) } ?? String(word)
        }.joined(separator: " ")
    }

    private var failed: TopSection {
        let jobs = model.failed
        let rows: [[StyledText]] = jobs.map { job in
            [
                StateText.mark(job.state), StyledText(job.fullName), StyledText(job.reason ?? "–"), Moment.age(job.finishedAt),
                StyledText(job.message?.split(separator: "\n").first.map(String.init) ?? "–"),
            ]
        }
        let table = Table(
            [
                .init(""), .init("FAILED LAST", elastic: true), .init("REASON"), .init("ENDED", .right), .init("MESSAGE", elastic: true),
            ], rows: rows)
        return TopSection(table, columns: columns, ids: jobs.map(\.id))
    }
}
