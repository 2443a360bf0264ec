import APITypes
import ArgumentParser
import Domain
import JSON
import Terminal

struct Usage: ParsableCommand {
    /// What GPU-hours are summed up by.
    enum Group: String, ExpressibleByArgument, CaseIterable {
        case project, user, experiment, job
    }

    static let configuration = CommandConfiguration(
        abstract: "Show the GPU-hours that were used, and how much of them the GPUs idled.",
        discussion: HelpText.discussion(
            """
            A GPU counts from when an attempt holds it until it gives it back; a share of one counts as its part. Idle are hours in \
            which a GPU was held and did nothing. What came before --since does not count.
            """,
            examples: "anneal usage", "anneal usage --by job --since 24h", "anneal usage --by experiment --since 2026-11-01 --json"))

    @Option(help: "What to sum up by.")
    var by = Group.project

    @Option(
        help: ArgumentHelp(
            "Only what was used since a time such as 2026-11-20 or 2026-11-20T08:00:00Z, or in the last 90m, 24h, 7d or 2w.",
            valueName: "time|span"))
    var since: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func validate() throws { _ = try since.map(PastMoment.init) }

    func run() throws {
        let client = try shared.client()
        let start = try since.map { try PastMoment($0).timestamp(now: Moment.now()) }
        let answer = try client.get(
            UsageView.self, ["v1", "usage"], query: [("by", by.rawValue)] + (start.map { [("since", $0.description)] } ?? []))
        if shared.json { return Output.json(answer.body) }
        let all = answer.view.data
        let shown = options.all ? all : Array(all.prefix(options.limit))
        let rows = try shown.map { row in
            [
                StyledText(try name(of: row.name, client)), hours(row.gpuHours), hours(row.idleGPUHours), idleShare(row),
                StyledText("\(row.attempts)"),
            ]
                + (by == .project ? [] : [StyledText(row.name, .dim)])
        }
        var columns: [Table.Column] = [
            .init(by.rawValue.uppercased(), elastic: true), .init("GPU HOURS", .right), .init("IDLE HOURS", .right), .init("IDLE", .right),
            .init("ATTEMPTS", .right),
        ]
        if by != .project { columns.append(.init("ID")) }
        Output.table(Table(columns, rows: rows), ifEmpty: "no GPU was used" + (start.map { " since \($0)" } ?? ""))
        if shown.count < all.count { Output.line(StyledText("and \(all.count - shown.count) more; --all shows them", .dim)) }
        if all.count > 1 { Output.line(total(of: all)) }
    }

    private func total(of rows: [UsageView.Row]) -> StyledText {
        let sum = UsageView.Row(
            name: "", gpuHours: rows.reduce(0) { $0 + $1.gpuHours }, idleGPUHours: rows.reduce(0) { $0 + $1.idleGPUHours }, attempts: 0)
        return StyledText("in all ", .dim) + hours(sum.gpuHours) + StyledText(" GPU hours, ", .dim) + idleShare(sum)
            + StyledText(" idle", .dim)
    }

    private func hours(_ hours: Double) -> StyledText { StyledText(NumberText.fixed(hours, decimals: hours < 10 ? 2 : 1)) }

    /// The part of the hours in which nothing was done; yellow where that is most of them.
    private func idleShare(_ row: UsageView.Row) -> StyledText {
        guard row.gpuHours > 0 else { return StyledText("–", .dim) }
        let share = row.idleGPUHours / row.gpuHours
        return StyledText(NumberText.fixed(share * 100, decimals: 0) + " %", share > 0.5 ? .yellow : nil)
    }

    /// The name under which users know what the identifier stands for; the identifier itself for what is gone.
    private func name(of id: String, _ client: APIClient) throws -> String {
        do {
            switch by {
            case .project: return id
            case .user: return id.isEmpty ? "(no tag 'user')" : id
            case .experiment: return try client.get(ExperimentView.self, ["v1", "experiments", id]).view.name
            case .job: return try client.get(JobView.self, ["v1", "jobs", id]).view.fullName
            }
        } catch let failure as CommandFailure where failure.status == .notFound {
            return id
        }
    }
}

/// A moment of the past as users write it: a date, a time, or a span before now.
struct PastMoment {
    private enum Form {
        case moment(Timestamp)
        case secondsAgo(Int64)
    }

    private static let unitSeconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400]
    /// A century, before which nothing was used.
    private static let secondsMax: Int64 = 100 * 366 * 86400

    private let form: Form

    init(_ text: String) throws {
        if let moment = Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "T00:00:00Z") {
            form = .moment(moment)
        } else if let unit = text.last.flatMap({ Self.unitSeconds[$0] }), let count = Int64(text.dropLast()),
            (0...Self.secondsMax / unit).contains(count)
        {
            form = .secondsAgo(count * unit)
        } else {
            throw ValidationError("'\(text)' is no time such as 2026-11-20, 2026-11-20T08:00:00Z, or 24h for the last 24 hours")
        }
    }

    func timestamp(now: Timestamp) -> Timestamp {
        switch form {
        case .moment(let moment): moment
        case .secondsAgo(let seconds): Timestamp(milliseconds: now.milliseconds - seconds * 1000)
        }
    }
}
