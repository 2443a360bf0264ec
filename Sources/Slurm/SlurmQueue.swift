import EventLoop

/// Slurm's answer to one question about all jobs, by name and by id.
struct SlurmQueue: Sendable {
    private var byName: [String: [SlurmJob]] = [:]
    private var byID: [String: SlurmJob] = [:]

    init(_ jobs: [SlurmJob]) {
        byName.reserveCapacity(jobs.count)
        byID.reserveCapacity(jobs.count)
        for job in jobs where job.name.hasPrefix(SlurmScript.name(attempt: "")) {
            byName[job.key, default: []].append(job)
            byID[job.id] = job
        }
    }

    /// What it tells of an attempt, whether it was submitted by itself or as the task of an array.
    @LoopActor
    func sight(of attempt: SlurmAttempt) -> SlurmSight {
        let name = attempt.arrayKey.flatMap { byName[$0] == nil ? nil : $0 } ?? attempt.name
        return sight(name: name, id: attempt.externalID, sharedName: attempt.sharedName)
    }

    /// What it tells of an attempt.
    ///
    /// Where several jobs bear its name, one that lives goes before one that has ended, and the first before a later one: that is the one
    /// whose shim runs, whichever of them the last answer of sbatch named.
    ///
    /// Ids come again where a controller has lost its last jobs: one of another name is another job.
    func sight(name: String, id: String?, sharedName: String? = nil) -> SlurmSight {
        let jobs = byName[name] ?? []
        if let living = jobs.filter({ !$0.state.isEnd }).min(by: Self.isOlder) { return .job(living) }
        if let id {
            guard let job = byID[id], job.key == name || job.name == sharedName else { return .absent }
            return .job(job)
        }
        return jobs.min(by: Self.isOlder).map(SlurmSight.job) ?? .absent
    }

    /// What waits by the name of an attempt.
    func waiting(name: String) -> SlurmJob? { byName[name]?.first { $0.state.isWait } }

    /// What the job of an id is called: its name, and that with the number of its task; `nil` where Slurm knows none.
    func names(of id: String) -> Set<String>? { byID[id].map { [$0.name, $0.key] } }

    /// Whether Slurm remembers a job by the name of an attempt.
    func lists(name: String) -> Bool { byName[name] != nil }

    /// Jobs that wait although an older one of the same name lives: a submission that was thought lost came late.
    var duplicates: [SlurmJob] {
        byName.values.flatMap { jobs -> [SlurmJob] in
            guard jobs.count > 1 else { return [] }
            return jobs.filter { !$0.state.isEnd }.sorted(by: Self.isOlder).dropFirst().filter(\.state.isWait)
        }
    }

    private static func isOlder(_ one: SlurmJob, _ other: SlurmJob) -> Bool { one.number < other.number }
}
