import Domain
import Specification
import Store

/// Where a job's logs are.
public struct LogSource: Sendable {
    /// The folder of the attempt; `nil` for a job that has had none.
    public var directory: String?
    public var jobID: String
    public var attemptID: String?
    /// Names of the job's secrets, which are not shown.
    var secrets: [String] = []
}

// Logs are served from the files that the workers write.
extension AnnealService {
    /// The logs of an attempt of a job: of the newest, or of that with the given number. A job that was answered from the cache shows
    /// those of the job that did the work.
    public func logSource(job id: String, attempt number: Int?) async throws -> LogSource {
        let found = try await store.read { reader -> (JobRecord, [AttemptRecord])? in
            guard let job = try reader.job(id) else { return nil }
            let attempts = try reader.attempts(job: id)
            if attempts.isEmpty, let source = job.cachedFrom { return (job, try reader.attempts(job: source)) }
            return (job, attempts)
        }
        guard let (job, attempts) = found else { throw ServiceError.missing("job", id) }
        let secrets = JobPlan.secrets(of: job.spec)
        if let number {
            guard let attempt = attempts.first(where: { $0.number == number }) else {
                throw ServiceError(.notFound, "the job '\(job.name)' has no attempt \(number); it has had \(attempts.count)")
            }
            return LogSource(directory: attempt.directory, jobID: id, attemptID: attempt.id, secrets: secrets)
        }
        let newest = attempts.max { $0.number < $1.number }
        return LogSource(directory: newest?.directory, jobID: id, attemptID: newest?.id, secrets: secrets)
    }

    /// What hides the secrets in the text of a log; reads their files on the thread that reads logs.
    public nonisolated func mask(for source: LogSource) async throws -> SecretMask {
        try await reading.run { [secrets] in secrets.mask(for: source.secrets) }
    }

    /// Hides the secrets in a JSON document that shows what workers have written.
    public nonisolated func hidingSecrets(in document: [UInt8]) async throws -> [UInt8] {
        try await reading.run { [secrets] in
            let mask = secrets.maskOfJSON()
            var bytes = document
            if !mask.isEmpty { mask.hide(in: &bytes) }
            return bytes
        }
    }

    /// Whether more may still be written to an attempt's logs.
    public func isLive(attempt id: String?) async throws -> Bool {
        guard let id else { return false }
        return try await store.read { try $0.attempt(id).map { !$0.state.isTerminal } ?? false }
    }

    /// Refuses a stream about something that does not exist.
    public func requireSubjects(experiment: String?, job: String?) async throws {
        guard experiment != nil || job != nil else { return }
        try await streamReads.read { reader in
            if let experiment, try reader.experiment(experiment) == nil { throw ServiceError.missing("experiment", experiment) }
            if let job, try reader.job(job) == nil { throw ServiceError.missing("job", job) }
        }
    }
}
