import APITypes
import JSON

/// Finds what a user means by an identifier or a name.
struct References {
    let client: APIClient

    /// What a reference leads to.
    enum Target {
        case experiment(String)
        case job(String)
    }

    /// True for a prefix with the 26 characters that the daemon makes, so that a name may begin like an identifier.
    static func isIdentifier(_ text: String, _ prefix: String) -> Bool {
        guard text.hasPrefix(prefix + "_") else { return false }
        let digits = text.dropFirst(prefix.count + 1).utf8
        return digits.count == 26
            && digits.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
            }
    }

    /// An experiment's identifier from itself or from a name, which means the newest of that name.
    func experimentID(_ reference: String) throws -> String {
        if Self.isIdentifier(reference, "exp") { return reference }
        let page = try client.get(Page<ExperimentView>.self, ["v1", "experiments"], query: [("name", reference), ("limit", "1")])
        guard let newest = page.view.data.first else { throw CommandFailure(.notFound, "there is no experiment named '\(reference)'") }
        return newest.id
    }

    /// A job's identifier from itself, from `EXPERIMENT/JOB`, or from an experiment of a single job.
    func jobID(_ reference: String) throws -> String {
        if Self.isIdentifier(reference, "job") { return reference }
        let parts = reference.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let experiment = try client.get(ExperimentView.self, ["v1", "experiments", experimentID(parts[0])]).view
        let names = experiment.jobs.prefix(20).map(\.name).joined(separator: ", ") + (experiment.jobs.count > 20 ? ", …" : "")
        if parts.count == 2 {
            if let job = experiment.jobs.first(where: { $0.name == parts[1] }) { return job.id }
            throw CommandFailure(.notFound, "the experiment '\(experiment.name)' has no job '\(parts[1])'", "its jobs are: \(names)")
        }
        if experiment.jobs.count == 1 { return experiment.jobs[0].id }
        throw CommandFailure(
            .usage, "the experiment '\(experiment.name)' has \(experiment.jobs.count) jobs; write \(reference)/JOB",
            "its jobs are: \(names)")
    }

    /// An experiment or a job: names with a slash are jobs, others are experiments.
    func target(_ reference: String) throws -> Target {
        if Self.isIdentifier(reference, "job") || reference.contains("/") { return .job(try jobID(reference)) }
        return .experiment(try experimentID(reference))
    }

    /// An evaluation's identifier from itself, or the evaluation of a job.
    func evaluationID(_ reference: String) throws -> String {
        if Self.isIdentifier(reference, "eval") { return reference }
        guard let evaluation = try EvaluationSearch(client: client).evaluation(ofJob: jobID(reference)) else {
            throw CommandFailure(.notFound, "the job '\(reference)' has no evaluation")
        }
        return evaluation.id
    }

    /// An identifier of any kind as it is, and a name as an experiment or a job.
    func anyID(_ reference: String) throws -> String {
        for prefix in ["exp", "job", "att", "ds", "ckpt", "eval"] where Self.isIdentifier(reference, prefix) { return reference }
        switch try target(reference) {
        case .experiment(let id), .job(let id): return id
        }
    }
}
