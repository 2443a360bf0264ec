import Domain

/// Which jobs a list shows.
public struct JobFilter: Sendable {
    public var experimentID: String?
    /// `nil` for all.
    public var states: Set<JobState>?
    /// `nil` for all.
    public var kinds: Set<JobKind>?
    public var reach: Reach

    /// A filter; what is left out does not restrict.
    public init(
        experimentID: String? = nil, states: Set<JobState>? = nil, kinds: Set<JobKind>? = nil, reach: Reach = .everything
    ) {
        self.reach = reach
        self.experimentID = experimentID
        self.states = states
        self.kinds = kinds
    }
}

extension ReadTransaction {
    /// The job with this identifier.
    public func job(_ id: String) throws -> JobRecord? {
        try row("SELECT \(JobRecord.columns) FROM job WHERE id = ?", [id]) { try JobRecord(&$0) }
    }

    /// The state of a job, without the cost of its spec.
    public func jobState(_ id: String) throws -> JobState? { try row("SELECT state FROM job WHERE id = ?", [id]) { try $0.word() } }

    /// The state of a job and the reason for it, without the cost of its spec.
    public func standing(job id: String) throws -> (state: JobState, reason: Reason?)? {
        try row("SELECT state, reason FROM job WHERE id = ?", [id]) { (try $0.word(), $0.optionalText().map(Reason.init(rawValue:))) }
    }

    /// The job of this name in an experiment.
    public func job(named name: String, experiment: String) throws -> JobRecord? {
        try row("SELECT \(JobRecord.columns) FROM job WHERE experiment_id = ? AND name = ?", [experiment, name]) { try JobRecord(&$0) }
    }

    /// The place of a job that is added to an experiment.
    public func nextJobPosition(experiment: String) throws -> Int {
        try row("SELECT max(position) + 1 FROM job WHERE experiment_id = ?", [experiment]) { $0.integer() } ?? 0
    }

    /// The jobs of an experiment, in the order of its document.
    public func jobs(experiment: String) throws -> [JobRecord] {
        try rows("SELECT \(JobRecord.columns) FROM job WHERE experiment_id = ? ORDER BY position", [experiment]) { try JobRecord(&$0) }
    }

    /// What a list shows of the jobs of an experiment, in the order of its document.
    public func jobSummaries(experiment: String) throws -> [JobSummary] {
        try rows("SELECT \(JobSummary.columns) FROM job WHERE experiment_id = ? ORDER BY position", [experiment]) { try JobSummary(&$0) }
    }

    /// Jobs, newest first.
    ///
    /// - Parameter after: The identifier of the last one of the page before.
    public func jobs(_ filter: JobFilter = JobFilter(), limit: Int, after: String? = nil) throws -> Page<JobRecord> {
        var conditions = Conditions()
        conditions.add("experiment_id", equals: filter.experimentID)
        conditions.add(experiment: "experiment_id", within: filter.reach)
        conditions.add("state", in: filter.states?.map(\.rawValue).sorted())
        conditions.add("kind", in: filter.kinds?.map(\.rawValue).sorted())
        if let after { conditions.add("id < ?", after) }
        return try page("SELECT \(JobRecord.columns) FROM job\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit) {
            try JobRecord(&$0)
        }
    }

    /// How many jobs an experiment has in each state; states without jobs are left out.
    public func jobCounts(experiment: String) throws -> [JobState: Int] {
        try counts("SELECT state, count(*) FROM job WHERE experiment_id = ? GROUP BY state", [experiment])
    }

    /// How many jobs there are in each state.
    public func jobCounts() throws -> [JobState: Int] { try counts("SELECT state, count(*) FROM job GROUP BY state", []) }

    private func counts(_ sql: String, _ arguments: [String]) throws -> [JobState: Int] {
        var counts: [JobState: Int] = [:]
        for (state, count) in try rows(sql, arguments, { (try $0.word(JobState.self), $0.integer()) }) { counts[state] = count }
        return counts
    }

    /// Every job that has not ended, oldest first.
    public func nonTerminalJobs() throws -> [JobRecord] {
        try rows("SELECT \(JobRecord.columns) FROM job WHERE finished_at_ms IS NULL ORDER BY id") { try JobRecord(&$0) }
    }

    /// The jobs that must succeed before this one, in the order of the document.
    public func needs(job: String) throws -> [String] {
        try rows("SELECT need_id FROM job_need JOIN job ON job.id = need_id WHERE job_id = ? ORDER BY position", [job]) { $0.text() }
    }

    /// The needs of every job that has not ended, by job.
    public func needsOfNonTerminalJobs() throws -> [String: [String]] {
        let sql = """
            SELECT job_need.job_id, job_need.need_id FROM job JOIN job_need ON job_need.job_id = job.id
            WHERE job.finished_at_ms IS NULL ORDER BY job_need.job_id, job_need.need_id
            """
        var needs: [String: [String]] = [:]
        for (job, need) in try rows(sql, [], { ($0.text(), $0.text()) }) { needs[job, default: []].append(need) }
        return needs
    }

    /// The project of each experiment that has jobs that have not ended, by the experiment's identifier.
    public func projectsOfNonTerminalJobs() throws -> [String: String] {
        let sql = "SELECT id, project FROM experiment WHERE finished_at_ms IS NULL"
        return Dictionary(try rows(sql, [], { ($0.text(), $0.text()) }), uniquingKeysWith: { first, _ in first })
    }

    /// The jobs that need this one, in the order of the document.
    public func dependents(job: String) throws -> [String] {
        try rows("SELECT job_id FROM job_need JOIN job ON job.id = job_id WHERE need_id = ? ORDER BY position", [job]) { $0.text() }
    }

    /// All needs within an experiment: for each job that has any, the jobs it needs.
    public func needs(experiment: String) throws -> [String: [String]] {
        let sql = """
            SELECT job_need.job_id, job_need.need_id FROM job JOIN job_need ON job_need.job_id = job.id
            WHERE job.experiment_id = ? ORDER BY job.position, job_need.need_id
            """
        var needs: [String: [String]] = [:]
        for (job, need) in try rows(sql, [experiment], { ($0.text(), $0.text()) }) { needs[job, default: []].append(need) }
        return needs
    }

    /// The latest job that succeeded by its own work under this cache key.
    ///
    /// - Parameter experiment: that of the job that asks; of another project only what all who see this one's may see is taken.
    public func succeededJob(cacheKey: String, for experiment: String) throws -> JobRecord? {
        let owner = "(SELECT project FROM experiment WHERE id = job.experiment_id)"
        return try row(
            """
            SELECT \(JobRecord.columns) FROM job WHERE cache_key = ?1 AND state = 'succeeded' AND cached_from IS NULL
            AND (experiment_id = ?2 OR \(SharedResults.condition(of: owner, for: "(SELECT project FROM experiment WHERE id = ?2)")))
            ORDER BY finished_at_ms DESC LIMIT 1
            """, [cacheKey, experiment]
        ) { try JobRecord(&$0) }
    }
}
