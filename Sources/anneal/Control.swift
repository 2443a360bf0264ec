import APITypes
import Terminal

/// Asks the daemon to change the course of experiments and jobs, and prints what became of each.
struct Control {
    let shared: SharedOptions

    /// Posts `verb` to each target in turn; all are tried, and the first failure is thrown at the end.
    func post(_ verb: String, to targets: [String]) throws {
        try each(targets) { client, target in
            switch try References(client: client).target(target) {
            case .experiment(let id):
                let answer = try client.post(ExperimentView.self, ["v1", "experiments", id, verb])
                return (answer.body, answer.view.state)
            case .job(let id): return try postToJob(client, id, verb)
            }
        }
    }

    func post(_ verb: String, toJobs jobs: [String]) throws {
        try each(jobs) { client, job in try postToJob(client, References(client: client).jobID(job), verb) }
    }

    private func postToJob(_ client: APIClient, _ id: String, _ verb: String) throws -> (body: [UInt8], state: String) {
        let answer = try client.post(JobView.self, ["v1", "jobs", id, verb])
        return (answer.body, answer.view.state)
    }

    private func each(_ targets: [String], _ body: (APIClient, String) throws -> (body: [UInt8], state: String)) throws {
        let client = try shared.client()
        var first: CommandFailure?
        for target in targets {
            do {
                let result = try body(client, target)
                if shared.json {
                    Output.json(result.body)
                } else {
                    Output.line(StateText.mark(result.state) + " " + StyledText(target) + ": " + StateText.name(result.state))
                }
            } catch let failure as CommandFailure {
                guard targets.count > 1 else { throw failure }
                Output.report(failure)
                first = first ?? failure
            }
        }
        if let first { throw CommandFailure(first.status) }
    }
}
