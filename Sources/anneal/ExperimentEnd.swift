import APITypes

/// Waits for the end of an experiment, over restarts of the daemon.
struct ExperimentEnd {
    let client: APIClient
    let experimentID: String

    func wait() throws -> APIClient.Answer<ExperimentView> {
        var outage = Outage()
        while true {
            do {
                let answer = try client.get(ExperimentView.self, ["v1", "experiments", experimentID], query: [("wait", "30")])
                if StateText.isTerminal(answer.view.state) { return answer }
                outage.end()
            } catch let failure as CommandFailure where failure.status == .unreachable {
                if !outage.isOngoing {
                    Output.complain("anneal: the daemon does not answer; trying again for up to \(Int(Outage.secondsMax)) seconds")
                }
                try outage.wait(after: failure)
            }
        }
    }
}
