import APITypes
import JSON
import Terminal

/// Curves in columns, as `GET /v1/metrics?layout=columns` answers.
struct CurvePage: Decodable {
    var curves: [CurveColumns]
}

/// One curve: the same number of entries in each column.
struct CurveColumns: Decodable, Sendable {
    var jobID: String
    var key: String
    var steps: [Int]
    /// Unix seconds.
    var times: [Double]
    var values: [MetricValue]

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case key, steps, times, values
    }
}

/// Fetches curves of one or several jobs in one request.
struct CurveSource {
    private static let keysListedMax = 20

    let client: APIClient
    let jobIDs: [String]
    /// The keys that were asked for; `*` stands for any characters. Empty for the loss.
    let keys: [String]
    let axis: PlotChart.Axis
    /// The most points of a curve.
    let points: Int

    func jobs() throws -> [JobView] { try jobIDs.map { try client.get(JobView.self, ["v1", "jobs", $0]).view } }

    /// The curves that there are; `nil` where nothing is known yet of what to draw.
    func curves() throws -> APIClient.Answer<CurvePage>? {
        let keys = try self.keys.isEmpty ? defaultKeys() : self.keys
        guard !keys.isEmpty else { return nil }
        let query =
            jobIDs.map { ("job", $0) } + keys.map { ("key", $0) }
            + [("points", String(points)), ("layout", "columns"), ("by", axis.rawValue)]
        var answer = try client.get(CurvePage.self, ["v1", "metrics"], query: query)
        answer.view.curves.removeAll { $0.steps.isEmpty }
        return answer
    }

    /// The loss of the jobs; where none has one, the first key of the first job that has any.
    private func defaultKeys() throws -> [String] {
        let keys = try keysOfJobs()
        let losses = Curves.lossKeys(among: keys.flatMap { $0 })
        return losses.isEmpty ? Array(keys.compactMap(\.first).prefix(1)) : losses
    }

    private func keysOfJobs() throws -> [[String]] {
        try jobIDs.map { try Curves(client: client, jobID: $0).summary().view.keys.map(\.key) }
    }

    /// Why there is nothing to draw.
    func failure(_ jobs: [JobView]) throws -> CommandFailure {
        let subject = jobs.count == 1 ? "the job '\(jobs[0].fullName)' has" : "the jobs have"
        var known: [String] = []
        for key in try keysOfJobs().joined() where !known.contains(key) { known.append(key) }
        guard !known.isEmpty else {
            let isOver = jobs.allSatisfy { StateText.isTerminal($0.state) }
            return CommandFailure(.notFound, "\(subject) written no metrics\(isOver ? "" : " yet")")
        }
        let names = known.prefix(Self.keysListedMax).joined(separator: ", ") + (known.count > Self.keysListedMax ? ", …" : "")
        return CommandFailure(
            .notFound, "\(subject) no metric \(keys.map { "'\($0)'" }.joined(separator: " or "))", "there are: \(names)")
    }

    /// The keys that were asked for by name and that no curve has.
    func missingKeys(in curves: [CurveColumns]) -> [String] {
        keys.filter { key in !key.contains("*") && !curves.contains { $0.key == key } }
    }
}

extension JobView {
    /// `EXPERIMENT/JOB`, as users write it.
    var fullName: String { "\(experiment)/\(name)" }
}
