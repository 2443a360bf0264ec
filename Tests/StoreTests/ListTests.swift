import Domain
import JSON
import Testing

@testable import Store

@Suite struct ListTests {
    /// An identifier that sorts by its number.
    private static func id(_ prefix: String, _ number: Int) -> String { prefix + String(100_000 + number) }

    @Test func tenThousandJobsArePagedOnceEach() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            for experiment in 0..<10 {
                try await store.write { transaction throws in
                    let id = Self.id("exp_", experiment)
                    try transaction.insert(experiment: .sample(id, name: "e\(experiment)", project: experiment < 5 ? "a" : "b"))
                    try transaction.insert(
                        jobs: (0..<1000).map { position in
                            .sample(
                                Self.id("job_", experiment * 1000 + position), experiment: id, position: position,
                                state: position % 2 == 0 ? .queued : .waiting,
                                kind: position % 4 == 0 ? .prepare : .train)
                        })
                }
            }
            var seen: [String] = []
            var after: String?
            repeat {
                let (limit, cursor) = (999, after)
                let page = try await store.read { try $0.jobs(limit: limit, after: cursor) }
                seen += page.items.map(\.id)
                after = page.hasMore ? page.items.last?.id : nil
            } while after != nil
            #expect(seen == (0..<10_000).reversed().map { Self.id("job_", $0) })
            try await store.read { transaction throws in
                let filtered = try transaction.jobs(JobFilter(states: [.queued], kinds: [.prepare, .evaluate]), limit: 5000)
                // A page is never longer than its limit, whatever is asked.
                #expect(filtered.items.count == 1000 && filtered.hasMore)
                #expect(filtered.items.allSatisfy { $0.state == .queued && $0.kind == .prepare })
                #expect(
                    try transaction.jobs(JobFilter(experimentID: Self.id("exp_", 3), states: [.waiting]), limit: 1000).items.count == 500)
                #expect(try transaction.jobs(JobFilter(states: []), limit: 10).items.isEmpty)
                #expect(try transaction.jobs(limit: 0).items.count == 1)
                #expect(try transaction.jobs(experiment: Self.id("exp_", 2)).map(\.position) == Array(0..<1000))
                #expect(try transaction.jobSummaries(experiment: Self.id("exp_", 2)).count == 1000)
                #expect(try transaction.jobCounts() == [.queued: 5000, .waiting: 5000])
                let experiments = try transaction.experiments(ExperimentFilter(project: "b", states: [.pending]), limit: 3)
                #expect(experiments.items.map(\.name) == ["e9", "e8", "e7"] && experiments.hasMore)
                let rest = try transaction.experiments(ExperimentFilter(project: "b"), limit: 3, after: experiments.items.last?.id)
                #expect(rest.items.map(\.name) == ["e6", "e5"] && !rest.hasMore)
                #expect(try transaction.experiments(ExperimentFilter(name: "e4"), limit: 3).items.map(\.project) == ["a"])
            }
        }
    }

    @Test func aPageHasNoMoreRowsThanItsLimit() async throws {
        var limits = StoreLimits.standard
        limits.pageRowsMax = 5
        try await StoreFixture.with(limits: limits) { fixture in
            try await fixture.store.write { transaction in
                for number in 1...5 { try transaction.appendEvent("note", at: at(Int64(number)), payload: [:]) }
            }
            let whole = try await fixture.store.read { try $0.events(after: 0, limit: 6) }
            #expect(whole.items.count == 5 && !whole.hasMore)
            try await fixture.store.write { try $0.appendEvent("note", at: at(6), payload: [:]) }
            let part = try await fixture.store.read { try $0.events(after: 0, limit: 6) }
            #expect(part.items.count == 5 && part.hasMore)
        }
    }

    @Test func aJobComesBackAsItWasInserted() async throws {
        try await StoreFixture.with { fixture in
            var job = JobRecord.sample(state: .queued)
            job.engine = "trl"
            job.group = "sft"
            job.matrix = ["seed": 1]
            job.message = "waits"
            job.reason = .insufficientResources
            job.timeout = .seconds(14_400)
            job.grace = .milliseconds(1500)
            job.retry = RetryPolicy(limit: 3, delay: .seconds(2), backoff: 1.5)
            job.cacheEnabled = false
            job.environment = ["A": "b"]
            job.workingDirectory = "/work"
            job.condition = "always()"
            job.notBefore = at(5)
            job.failures = 1
            job.cacheKey = "key"
            job.outputs = ["model": ["path": "/m"]]
            job.summary = ["loss": 0.5]
            job.startedAt = at(6)
            let inserted = job
            try await fixture.store.write { transaction throws in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [inserted])
            }
            #expect(try await fixture.store.read { try $0.job("job_1") } == inserted)
            #expect(try await fixture.store.read { try $0.experiment("exp_1") } == .sample())
            #expect(try await fixture.store.read { try $0.job("job_2") } == nil)
        }
    }

    @Test func settersChangeOneThing() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.insertSamples() }
            try await fixture.store.write { transaction throws in
                try transaction.setPriority(job: "job_1", 99)
                try transaction.setCacheKey(job: "job_1", "abc")
                try transaction.setReason(job: "job_1", .insufficientResources, message: "needs 8 GPUs")
            }
            let job = try await fixture.store.read { try $0.job("job_1") }
            #expect(
                job?.priority == 99 && job?.cacheKey == "abc" && job?.reason == .insufficientResources && job?.message == "needs 8 GPUs")
            #expect(try await code { try await fixture.store.write { try $0.setPriority(job: "job_1", 101) } } == .constraint)
            #expect(try await code { try await fixture.store.write { try $0.setPriority(job: "job_9", 1) } } == .notFound)
        }
    }

    @Test func theLatestJobWithTheSameKeyStandsIn() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { transaction throws in
                try transaction.insert(experiment: .sample())
                for number in 1...4 {
                    var job = JobRecord.sample("job_\(number)", position: number, state: number == 3 ? .failed : .succeeded)
                    job.cacheKey = "same"
                    job.finishedAt = at(Int64(number))
                    // The last one was itself answered from the cache.
                    job.cachedFrom = number == 4 ? "job_2" : nil
                    try transaction.insert(jobs: [job])
                }
            }
            #expect(try await fixture.store.read { try $0.succeededJob(cacheKey: "same", for: "exp_1")?.id } == "job_2")
            #expect(try await fixture.store.read { try $0.succeededJob(cacheKey: "other", for: "exp_1") } == nil)
        }
    }

    @Test func resultsOfAnotherProjectStandInWhereNobodyIsKeptFromThem() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { transaction throws in
                for (number, project) in ["", "theirs", "ours", "ours"].enumerated().dropFirst() {
                    var experiment = ExperimentRecord.sample("exp_\(number)")
                    (experiment.name, experiment.project) = ("e\(number)", project)
                    try transaction.insert(experiment: experiment)
                }
                var job = JobRecord.sample("job_1", state: .succeeded)
                (job.cacheKey, job.experimentID, job.finishedAt) = ("same", "exp_1", at(2000))
                try transaction.insert(jobs: [job])
            }
            /// Whether one of the other project finds it, and one of its own.
            func found() async throws -> [Bool] {
                var found: [Bool] = []
                for experiment in ["exp_2", "exp_1"] {
                    found.append(try await fixture.store.read { try $0.succeededJob(cacheKey: "same", for: experiment)?.id } == "job_1")
                }
                return found
            }
            func token(_ id: String, _ projects: [String]?, expires: Timestamp? = nil) async throws {
                let record = TokenRecord(
                    id: id, name: id, hash: String(repeating: id.last ?? "0", count: 64), scope: .read, projects: projects, createdBy: "x",
                    createdAt: at(1), expiresAt: expires)
                try await fixture.store.write { try $0.insert(token: record) }
            }
            #expect(try await found() == [true, true])
            try await token("tok_1", nil)
            try await token("tok_2", ["theirs"])
            try await token("tok_3", ["ours", "theirs"])
            try await token("tok_4", ["ours"], expires: at(2))
            #expect(try await found() == [true, true], "all who read ours read theirs")
            try await token("tok_5", ["ours"])
            #expect(try await found() == [false, true])
            _ = try await fixture.store.write { try $0.revoke(token: "tok_5", at: at(3)) }
            #expect(try await found() == [true, true])
        }
    }

    @Test func eventsAreFilteredPagedAndForgotten() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction throws in
                for number in 1...20 {
                    try transaction.appendEvent(
                        number % 2 == 0 ? "state" : "metric", experiment: number <= 10 ? "exp_1" : "exp_2", job: "job_\(number % 4)",
                        at: at(1), payload: [:])
                }
            }
            try await store.read { transaction throws in
                func seqs(_ filter: EventFilter, after: Int64 = 0, limit: Int = 100) throws -> [Int64] {
                    let events = try transaction.events(after: after, filter, limit: limit).items
                    #expect(events.allSatisfy(filter.matches))
                    return events.map(\.seq)
                }
                #expect(try seqs(EventFilter(), after: 17) == [18, 19, 20])
                #expect(try seqs(EventFilter(experimentID: "exp_1", types: ["state"])) == [2, 4, 6, 8, 10])
                #expect(try seqs(EventFilter(jobID: "job_3"), after: 3, limit: 2) == [7, 11])
                #expect(try seqs(EventFilter(types: ["log"])) == [])
                #expect(try transaction.events(after: 0, limit: 20).hasMore == false)
                #expect(try transaction.events(after: 0, limit: 19).hasMore)
            }
            #expect(try await store.write { try $0.deleteEvents(before: 21) } == 20)
            #expect(try await store.read { (try $0.firstEventSeq(), try $0.lastEventSeq()) } == (nil, 20))
            // A number is never given twice.
            #expect(try await store.write { try $0.appendEvent("state", at: at(1), payload: [:]).seq } == 21)
        }
    }
}
