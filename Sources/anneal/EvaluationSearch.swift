import APITypes

/// Finds the evaluations that jobs came to.
struct EvaluationSearch {
    /// More evaluations of one experiment than a screen takes are not asked for.
    static let jobsMax = 100

    let client: APIClient

    /// The evaluation of a job; of a cached job, that of the job whose outputs it uses.
    func evaluation(ofJob id: String) throws -> EvaluationView? {
        let job = try client.get(JobView.self, ["v1", "jobs", id]).view
        if let evaluation = job.outputs["evaluation"]?["id"]?.string {
            return try client.get(EvaluationView.self, ["v1", "evaluations", evaluation]).view
        }
        // An evaluation that missed its gate is registered, but is no output that other jobs may use.
        return try client.get(Page<EvaluationView>.self, ["v1", "evaluations"], query: [("job", id), ("limit", "1")]).view.data.first
    }

    /// The evaluations of an experiment with the names of their jobs, in the order of its spec.
    func evaluations(of experiment: ExperimentView) throws -> [(name: String, evaluation: EvaluationView)] {
        let jobs = experiment.jobs.filter { $0.kind == "evaluate" && ["succeeded", "failed"].contains($0.state) }
        return try jobs.prefix(Self.jobsMax).compactMap { job in try evaluation(ofJob: job.id).map { (job.name + job.matrixText, $0) } }
    }
}
