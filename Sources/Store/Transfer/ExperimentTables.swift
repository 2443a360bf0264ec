/// The tables that rows of an experiment stand in, each after those that its rows refer to.
struct ExperimentTable: Sendable {
    var name: String
    /// Which of its rows are the experiment's; `?1` is the experiment's identifier.
    var condition: String
    /// The order in which they are written, so that equal experiments make equal files.
    var order: String
    /// Columns that hold small numbers which another database gives anew, with what they number.
    var numbers: [String: Number] = [:]
    /// Columns that may refer to rows of other experiments, which are not there; they become NULL. By the table that they refer to.
    var strangers: [String: String] = [:]

    /// What a number of a row means.
    enum Number: Sendable { case attempt, metricKey, series, pass, own, sequence }

    private static let jobs = "SELECT id FROM job WHERE experiment_id = ?1"
    private static let attempts = "SELECT ordinal FROM attempt WHERE job_id IN (\(jobs))"
    private static let series = "SELECT id FROM metric_series WHERE attempt_ordinal IN (\(attempts))"
    private static let passes = "SELECT id FROM generation_pass WHERE job_id IN (\(jobs))"
    private static let datasets = """
        SELECT id FROM dataset WHERE produced_by IN (\(jobs))
            OR id IN (SELECT artifact_id FROM job_input WHERE artifact_type = 'dataset' AND job_id IN (\(jobs)))
            OR id IN (SELECT output.value ->> '$.id' FROM job, json_each(job.outputs) AS output
                WHERE job.experiment_id = ?1 AND output.type = 'object')
        """
    private static let runs = "SELECT id FROM tracked_run WHERE job_id IN (\(jobs)) UNION \(jobs)"

    static let all: [ExperimentTable] = [
        .init(name: "experiment", condition: "id = ?1", order: "id"),
        .init(name: "job", condition: "experiment_id = ?1", order: "position", strangers: ["cached_from": "job"]),
        .init(name: "job_need", condition: "job_id IN (\(jobs))", order: "job_id, need_id"),
        .init(name: "job_input", condition: "job_id IN (\(jobs))", order: "job_id, pointer"),
        .init(name: "attempt", condition: "job_id IN (\(jobs))", order: "ordinal", numbers: ["ordinal": .attempt]),
        .init(name: "dataset", condition: "id IN (\(datasets))", order: "id", strangers: ["produced_by": "job"]),
        .init(name: "dataset_tag", condition: "dataset_id IN (\(datasets))", order: "dataset_id, key"),
        .init(name: "checkpoint", condition: "job_id IN (\(jobs))", order: "id"),
        .init(name: "evaluation", condition: "job_id IN (\(jobs))", order: "id"),
        .init(
            name: "metric_key", condition: "id IN (SELECT key_id FROM metric_series WHERE attempt_ordinal IN (\(attempts)))", order: "id",
            numbers: ["id": .metricKey]),
        .init(
            name: "metric_series", condition: "attempt_ordinal IN (\(attempts))", order: "id",
            numbers: ["id": .series, "attempt_ordinal": .attempt, "key_id": .metricKey]),
        .init(
            name: "metric_chunk", condition: "series_id IN (\(series))", order: "series_id, first_step, first_at_ms",
            numbers: ["id": .own, "series_id": .series]),
        .init(
            name: "metric_batch", condition: "attempt_ordinal IN (\(attempts))", order: "seq",
            numbers: ["seq": .sequence, "attempt_ordinal": .attempt]),
        .init(
            name: "metric_attempt", condition: "attempt_ordinal IN (\(attempts))", order: "attempt_ordinal",
            numbers: ["attempt_ordinal": .attempt]),
        .init(name: "tracked_run", condition: "job_id IN (\(jobs))", order: "id"),
        .init(name: "run_param", condition: "run_id IN (\(runs))", order: "run_id, key"),
        .init(name: "run_tag", condition: "run_id IN (\(runs))", order: "run_id, key"),
        .init(name: "run_input", condition: "run_id IN (\(runs))", order: "run_id, name, digest"),
        .init(
            name: "gpu_account", condition: "attempt_ordinal IN (\(attempts))", order: "attempt_ordinal",
            numbers: ["attempt_ordinal": .attempt]),
        .init(name: "generation_pass", condition: "job_id IN (\(jobs))", order: "id", numbers: ["id": .pass]),
        .init(name: "generation_segment", condition: "pass_id IN (\(passes))", order: "pass_id, number", numbers: ["pass_id": .pass]),
        .init(name: "generation_failure", condition: "pass_id IN (\(passes))", order: "pass_id, position", numbers: ["pass_id": .pass]),
        .init(name: "event", condition: "experiment_id = ?1", order: "seq", numbers: ["seq": .sequence]),
    ]
}
