import APITypes
import ArgumentParser
import JSON

struct Priority: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Change the priority of a job that has not started.",
        discussion: HelpText.discussion(
            "From 0 to 100; the higher goes first; 50 unless the spec says otherwise.", examples: "anneal priority toy/sft 90"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @Argument(help: ArgumentHelp("The new priority.", valueName: "priority"))
    var priority: Int

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard (0...100).contains(priority) else { throw ValidationError("the priority must be from 0 to 100") }
    }

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).jobID(job)
        let body = try client.send(
            "PATCH", ["v1", "jobs", id], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: ["priority": .int(Int64(priority))]))
        if shared.json { Output.json(body) } else { Output.write("\(job): priority \(priority)\n") }
    }
}
