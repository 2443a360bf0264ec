import APITypes
import ArgumentParser
import Terminal

struct Clusters: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the clusters that jobs can be sent to, and whether they answer.",
        discussion: HelpText.discussion(
            "They stand in the daemon's configuration. 'cluster:' in a spec names one; 'local' is the daemon's own machine.",
            examples: "anneal clusters", "anneal submit experiment.yaml --set cluster=hpc"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(ClustersView.self, ["v1", "clusters"])
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.data.map { cluster in
            let state = cluster.silentSince.map { StyledText("silent for ", .yellow) + Moment.span(from: $0, to: nil) }
            return [
                StyledText(cluster.name), StyledText(cluster.executor), StyledText(cluster.partition ?? "–"),
                state ?? StyledText("answers", .green), StyledText("\(cluster.queued)"), StyledText("\(cluster.running)"),
                StyledText(cluster.timeLimitSeconds.map { SpanText.exact(seconds: $0) } ?? "–"),
                StyledText(cluster.gpusPerNode.map { "\($0)" } ?? "–"), StyledText(cluster.message ?? ""),
            ]
        }
        let columns: [Table.Column] = [
            .init("NAME"), .init("EXECUTOR"), .init("PARTITION"), .init("STATE"), .init("QUEUED", .right), .init("RUNNING", .right),
            .init("TIME LIMIT", .right), .init("GPUS A NODE", .right), .init("MESSAGE", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no clusters: the configuration names none under 'clusters'")
    }
}
