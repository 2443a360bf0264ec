import Domain
import JSON
import Specification
import Store

/// The rows behind `on: checkpoint`: a job that stands for the evaluations of all checkpoints of a training (the template), and one job
/// for each checkpoint, which the template needs. Every change is part of a transaction of the caller.
enum CheckpointEvaluations {
    /// A job that was added and what it needs that may not have ended.
    struct Added: Sendable {
        var record: JobRecord
        var needs: [String]
        /// The template that it was made from.
        var template: String
    }

    /// The templates, not ended, that follow the checkpoints of `training`.
    static func templates(of training: String, in reader: ReadTransaction) throws -> [JobRecord] {
        guard let name = try reader.job(training)?.name else { return [] }
        return try reader.dependents(job: training).compactMap { try reader.job($0) }.filter {
            !$0.state.isTerminal && EveryCheckpoint(spec: $0.spec)?.training == name
        }
    }

    /// The template that a job was made from; `nil` for every other job.
    static func template(of job: JobRecord, in reader: ReadTransaction) throws -> JobRecord? {
        guard job.kind == .evaluate, let group = job.group else { return nil }
        return try reader.dependents(job: job.id).lazy.compactMap { try reader.job($0) }.first {
            $0.name == group && EveryCheckpoint(spec: $0.spec) != nil
        }
    }

    /// The jobs that were made from a template, in the order of their making.
    static func evaluations(of template: JobRecord, in reader: ReadTransaction) throws -> [JobRecord] {
        try reader.needs(job: template.id).compactMap { try reader.job($0) }.filter {
            $0.group == template.name && checkpointID(of: $0) != nil
        }
    }

    /// The checkpoint that a job made from a template evaluates.
    static func checkpointID(of job: JobRecord) -> String? {
        guard case .checkpoint(let id)? = job.spec["model"]?.string.flatMap({ ModelSource($0) }) else { return nil }
        return id
    }

    /// Adds the evaluation of a checkpoint by each of `templates` that wants it and has none of its step yet.
    ///
    /// A template has one evaluation of a step, however often the checkpoint is told of: names are unique in an experiment.
    static func add(
        for checkpoint: CheckpointRecord, templates: [JobRecord], makeID: () -> String, in writer: WriteTransaction, at moment: Timestamp
    ) throws -> [Added] {
        guard checkpoint.kind == .training, let step = checkpoint.step else { return [] }
        var added: [Added] = []
        for template in templates {
            guard let rule = EveryCheckpoint(spec: template.spec), rule.includes(step: step) else { continue }
            let name = EveryCheckpoint.jobName(of: template.name, step: step)
            guard try writer.job(named: name, experiment: template.experimentID) == nil else { continue }
            let needs = try writer.needs(job: template.id).compactMap { try writer.job($0) }.filter {
                $0.name != rule.training && $0.group != template.name
            }
            var record = try self.record(of: template, named: name, checkpoint: checkpoint.id, id: makeID(), in: writer, at: moment)
            let open = needs.filter { !$0.state.isTerminal }.map(\.id)
            record.reason = open.isEmpty ? nil : .needsPending
            try writer.insert(jobs: [record])
            try writer.insert(needs: needs.map(\.id), of: record.id)
            try writer.insert(needs: [record.id], of: template.id)
            // So that no retention takes what is still to be evaluated.
            try writer.insert(jobInputs: [
                JobInputRecord(
                    jobID: record.id, pointer: "/model", artifactID: checkpoint.id, artifactType: .checkpoint, sha256: checkpoint.sha256,
                    path: checkpoint.path)
            ])
            try tellProgress(of: template, in: writer)
            added.append(Added(record: record, needs: open, template: template.id))
        }
        return added
    }

    private static func record(
        of template: JobRecord, named name: String, checkpoint: String, id: String, in writer: WriteTransaction, at moment: Timestamp
    ) throws -> JobRecord {
        // One below the template's, so that an evaluation does not keep a training of the same priority from its GPUs.
        var record = JobRecord(
            id: id, experimentID: template.experimentID, position: try writer.nextJobPosition(experiment: template.experimentID),
            name: name,
            kind: .evaluate, priority: max(0, template.priority - 1), resources: template.resources, retry: template.retry,
            cacheEnabled: template.cacheEnabled, environment: template.environment,
            spec: EveryCheckpoint.body(of: template.spec, checkpointID: checkpoint), createdAt: moment)
        record.terms = template.terms
        record.isHeld = template.isHeld
        record.engine = template.engine
        record.group = template.name
        record.matrix = template.matrix
        record.timeout = template.timeout
        record.grace = template.grace
        record.workingDirectory = template.workingDirectory
        return record
    }

    /// Says in the template how far its evaluations are.
    static func tellProgress(of template: JobRecord, in writer: WriteTransaction) throws {
        guard let now = try writer.job(template.id), now.state == .waiting else { return }
        let evaluations = try evaluations(of: template, in: writer)
        let done = evaluations.count { $0.state.isTerminal }
        let message = "\(done) of \(evaluations.count) checkpoints evaluated so far"
        try writer.setReason(job: template.id, .needsPending, message: message)
    }

    // MARK: The training's curve

    /// Puts the metrics of an evaluation of one checkpoint on the curves of the training that made it, as `eval/<benchmark>/<metric>`.
    ///
    /// The points have the time of the evaluation, so that they are the same points whenever they are put there again.
    static func tellCurve(of evaluation: EvaluationRecord, job id: String, in writer: WriteTransaction, at moment: Timestamp) throws {
        guard let job = try writer.job(id), try template(of: job, in: writer) != nil,
            let checkpoint = try checkpointID(of: job).flatMap({ try writer.checkpoint($0) }),
            let attempt = checkpoint.attemptID, let step = checkpoint.step
        else { return }
        var points: [MetricPoint] = []
        for benchmark in evaluation.document["benchmarks"]?.array ?? [] {
            for (metric, estimate) in benchmark["metrics"]?.object ?? [:] {
                guard let value = estimate["value"]?.double else { continue }
                let key = "eval/\(benchmark["name"]?.string ?? "")/\(metric)"
                points.append(MetricPoint(key: key, step: step, at: evaluation.createdAt, value: value))
            }
        }
        try writer.appendMetrics(attempt: attempt, points: points, source: .evaluation, at: moment)
    }

    // MARK: The end

    /// Ends a template whose needs have all ended. Does nothing where it is not waiting, or where one of them goes on.
    ///
    /// - Returns: the state that it is in now; `nil` where it is not the end yet.
    static func conclude(_ template: JobRecord, in writer: WriteTransaction, at moment: Timestamp) throws -> JobState? {
        guard let rule = EveryCheckpoint(spec: template.spec), try writer.job(template.id)?.state == .waiting else { return nil }
        let needs = try writer.needs(job: template.id).compactMap { try writer.job($0) }
        guard needs.allSatisfy(\.state.isTerminal) else { return nil }
        let evaluations = try evaluations(of: template, in: writer)
        let results = try evaluations.compactMap { try Result(of: $0, in: writer) }.sorted { $0.step < $1.step }
        let summary = Result.summary(results, best: Result.best(of: results, by: template.spec))
        try writer.setOutputs(job: template.id, outputs: Result.outputs(results, by: template.spec), summary: summary)
        let count = "\(results.count) \(results.count == 1 ? "checkpoint" : "checkpoints") evaluated"
        let unmet = needs.filter { need in need.state != .succeeded && !evaluations.contains { $0.id == need.id } }
        if let need = unmet.first(where: { $0.name == rule.training }) ?? unmet.first {
            let message = "needs '\(need.name)', which is \(need.state.rawValue); \(count)"
            try writer.transition(
                job: template.id, from: [.waiting], to: .skipped, reason: .needFailed, message: message, at: moment)
            return .skipped
        }
        try writer.transition(job: template.id, from: [.waiting], to: .queued, at: moment)
        let bad = evaluations.filter { $0.state != .succeeded }
        guard let first = bad.first else {
            try writer.transition(job: template.id, from: [.queued], to: .succeeded, reason: .succeeded, message: count, at: moment)
            return .succeeded
        }
        let told = bad.prefix(5).map { "\($0.name): \($0.message ?? $0.state.rawValue)" }.joined(separator: "; ")
        let more = bad.count > 5 ? " …" : ""
        try writer.transition(
            job: template.id, from: [.queued], to: .failed, reason: first.reason ?? .unknown,
            message: "\(bad.count) of \(evaluations.count) evaluations did not succeed: \(told)\(more)", at: moment)
        return .failed
    }

    /// What the evaluation of one checkpoint came to.
    private struct Result {
        var step: Int
        var checkpoint: String
        /// The job's output `evaluation`.
        var output: JSONValue
        var summary: JSONObject

        /// `nil` for a job that did not succeed.
        init?(of job: JobRecord, in reader: ReadTransaction) throws {
            guard job.state == .succeeded, let output = job.outputs?["evaluation"], let id = checkpointID(of: job),
                let step = try reader.checkpoint(id)?.step
            else { return nil }
            (self.step, checkpoint, self.output) = (step, id, output)
            summary = job.summary?.object ?? [:]
        }

        /// The mean of a metric over the benchmarks that have it.
        func value(_ metric: String) -> Double? {
            let values = summary.compactMap { key, value in
                key == metric || key.hasSuffix("/" + metric) ? value.double : nil
            }
            return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
        }

        /// The first metric that the gate speaks of, else accuracy.
        private static func metric(by spec: JSONValue) -> String { spec["gate"]?.object?.keys.first ?? "accuracy" }

        private static let lowIsGood: Set<String> = ["no_answer", "truncated", "avg_tokens", "gen_seconds", "grading_errors"]

        /// The best result; of equal ones the later.
        static func best(of results: [Result], by spec: JSONValue) -> Result? {
            let metric = metric(by: spec)
            let name = metric.split(separator: "/").last.map(String.init) ?? metric
            let sign: Double = lowIsGood.contains(name) || name.hasPrefix("no_answer@") ? -1 : 1
            return results.max { sign * ($0.value(metric) ?? -sign * .infinity) < sign * ($1.value(metric) ?? -sign * .infinity) }
        }

        static func outputs(_ results: [Result], by spec: JSONValue) -> JSONValue {
            var outputs: JSONObject = [:]
            if let newest = results.last { outputs["evaluation"] = newest.output }
            if let best = best(of: results, by: spec) { outputs["best"] = best.output }
            return .object(outputs)
        }

        /// The newest evaluation's figures, and which checkpoint is the best.
        static func summary(_ results: [Result], best: Result?) -> JSONValue {
            var summary = results.last?.summary ?? [:]
            summary["checkpoints"] = .int(Int64(results.count))
            if let best {
                summary["best_step"] = .int(Int64(best.step))
                summary["best_checkpoint"] = .string(best.checkpoint)
            }
            return .object(summary)
        }
    }
}

extension ReadTransaction {
    /// Every checkpoint of a training, in the order of their ids. One that was answered from the cache has those of the first.
    func allCheckpoints(of training: JobRecord) throws -> [CheckpointRecord] {
        let filter = CheckpointFilter(jobID: training.cachedFrom ?? training.id)
        var found: [CheckpointRecord] = []
        var hasMore = true
        while hasMore {
            let page = try checkpoints(filter, limit: 1000, after: found.last?.id)
            found += page.items
            hasMore = page.hasMore
        }
        return found
    }
}
