import APITypes
import Terminal

/// Shows how far the generations of a job are, until it ends: drawn over where the output is a terminal, else a line a change.
struct GenerationFollow {
    private static let everySeconds = 1.0

    let client: APIClient
    let jobID: String
    let name: String

    /// What the job came to. Throws where the daemon stays away for too long.
    func run() throws -> GenerationsView {
        var region = LiveRegion()
        var outage = Outage()
        var told = ""
        while true {
            let view: GenerationsView
            do {
                view = try client.get(GenerationsView.self, ["v1", "jobs", jobID, "generations"]).view
                outage.end()
            } catch let failure as CommandFailure where failure.status == .unreachable {
                if !outage.isOngoing { Output.complain("anneal: the daemon does not answer; the job goes on, trying again") }
                try outage.wait(after: failure)
                continue
            }
            if Output.terminal.canRedraw, let size = Output.terminal.size {
                Output.write(
                    region.frame(
                        GenerationText.lines(view, name: name), columns: size.columns, rows: size.rows,
                        coloured: Output.terminal.wantsColour))
            } else {
                let line = ([GenerationText.counts(view)] + [GenerationText.present(view)].compactMap(\.self)).joined(separator: " · ")
                if line != told { Output.line(StyledText(line)) }
                told = line
            }
            if StateText.isTerminal(view.state) { return view }
            Outage.pause(seconds: Self.everySeconds)
        }
    }
}
