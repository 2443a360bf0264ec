import APITypes
import ArgumentParser
import Glibc
import JSON
import Terminal

struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show GPUs, running jobs, the queue and failures, live on the whole screen.",
        discussion: HelpText.discussion(
            """
            Keys: arrows or j and k select a job, Enter shows all of it, p pauses or resumes, c cancels, + and - change the priority, \
            / filters, ? lists the keys, q leaves. Where there is no terminal, and with --once or --json, the state of the moment is \
            printed.
            """, examples: "anneal top", "anneal top --once"))

    @Flag(help: "Print the state of the moment and end.")
    var once = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let source = TopSource(client: client)
        let first = try source.snapshot()
        if shared.json { return Output.json(JSONWriter().bytes(of: try first.json())) }
        guard !once, Output.terminal.canRedraw, FullScreen.enter() else {
            let screen = TopScreen(model: TopModel(first), address: client.endpoint.text, now: Moment.now())
            return Output.lines(screen.plainLines(columns: Output.columns))
        }
        TopSession(feed: TopFeed(source, first: first), address: client.endpoint.text).run()
        FullScreen.leave()
        // Threads still talk with the daemon; `exit` would take away the libraries that they use.
        _exit(ExitStatus.done.rawValue)
    }
}
