import APITypes
import Terminal

/// Draws a chart anew each second until its jobs have ended.
///
/// The daemon thins the curves to what a terminal can show, so that asking again costs little and needs no memory of the points.
struct PlotFollow {
    private static let everySeconds = 1.0

    let source: CurveSource
    let chart: (_ columns: Int?, _ jobs: [JobView]) -> PlotChart

    func run() throws {
        var region = LiveRegion()
        var outage = Outage()
        var shown: [StyledText] = []
        LiveCursor.hide()
        defer { LiveCursor.show() }
        while true {
            let size = Output.terminal.size ?? (80, 24)
            func draw(_ lines: [StyledText]) {
                Output.write(region.frame(lines, columns: size.columns, rows: size.rows, coloured: Output.terminal.wantsColour))
            }
            do {
                // The jobs first: what a job wrote before its end is in the curves that are asked for after it.
                let jobs = try source.jobs()
                let curves = try source.curves()?.view.curves ?? []
                outage.end()
                shown = curves.isEmpty ? [StyledText("no metrics yet", .dim)] : chart(size.columns, jobs).lines(curves)
                draw(shown)
                if jobs.allSatisfy({ StateText.isTerminal($0.state) }) { return }
                Outage.pause(seconds: Self.everySeconds)
            } catch let failure as CommandFailure where failure.status == .unreachable && !shown.isEmpty {
                draw(shown + [StyledText("the daemon does not answer; jobs go on, trying again", .yellow)])
                try outage.wait(after: failure)
            }
        }
    }

    /// Where nothing can be drawn over: waits for the end of the jobs.
    func waitForEnd() throws {
        for id in source.jobIDs {
            var outage = Outage()
            while true {
                do {
                    let job = try source.client.get(JobView.self, ["v1", "jobs", id], query: [("wait", "30")]).view
                    if StateText.isTerminal(job.state) { break }
                    outage.end()
                } catch let failure as CommandFailure where failure.status == .unreachable {
                    try outage.wait(after: failure)
                }
            }
        }
    }
}
