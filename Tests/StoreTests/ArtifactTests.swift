import Domain
import JSON
import Testing

@testable import Store

@Suite struct ArtifactTests {
    @Test func aDatasetHasTagsUpToTheLimit() async throws {
        var limits = StoreLimits.standard
        limits.tagsMax = 2
        try await StoreFixture.with(limits: limits) { fixture async throws in
            let store = fixture.store
            try await store.write { transaction throws in
                _ = try transaction.insert(dataset: .sample("ds_1"))
                _ = try transaction.insert(dataset: .sample("ds_2", sha256: digest("c")))
                try transaction.setTags(dataset: "ds_1", ["a": "1", "b": "2"])
                try transaction.setTags(dataset: "ds_1", ["a": nil, "c": "3"])
            }
            let refusal = try await code { try await store.write { try $0.setTags(dataset: "ds_1", ["d": "4"]) } }
            #expect(refusal == .conflict)
            #expect(try await store.read { try $0.dataset("ds_1")?.tags } == ["b": "2", "c": "3"])
            let found = try await store.read { try $0.datasets(tag: ("c", "3"), limit: 10).items.map(\.id) }
            #expect(found == ["ds_1"])
            try await store.write { try $0.deleteDataset("ds_1") }
            #expect(try await store.read { try $0.datasets(tag: ("c", "3"), limit: 10).items }.isEmpty)
        }
    }

    @Test func aDatasetGetsTheNextVersionOfItsNameUnlessItsContentIsKnown() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            let registered = try await store.write { transaction throws in
                try [
                    transaction.insert(dataset: .sample("ds_1")), transaction.insert(dataset: .sample("ds_2", sha256: digest("c"))),
                    transaction.insert(dataset: .sample("ds_3")), transaction.insert(dataset: .sample("ds_4", name: "other")),
                ]
            }
            #expect(registered.map(\.dataset.id) == ["ds_1", "ds_2", "ds_1", "ds_4"])
            #expect(registered.map(\.dataset.version) == [1, 2, 1, 1])
            #expect(registered.map(\.isNew) == [true, true, false, true])
            try await store.read { transaction throws in
                #expect(try transaction.dataset("ds_2") == registered[1].dataset)
                #expect(try transaction.dataset(named: "toy")?.id == "ds_2")
                #expect(try transaction.dataset(named: "toy", version: 1)?.id == "ds_1")
                #expect(try transaction.dataset(named: "toy", version: 3) == nil)
                #expect(try transaction.dataset(sha256: digest("b"))?.id == "ds_1")
                #expect(try transaction.datasets(limit: 2).items.map(\.id) == ["ds_4", "ds_2"])
                #expect(try transaction.datasets(limit: 2, after: "ds_2").items.map(\.id) == ["ds_1"])
                #expect(try transaction.datasets(name: "other", limit: 2).items.map(\.id) == ["ds_4"])
            }
        }
    }

    @Test func aCheckpointThatIsPinnedOrInUseIsNotRemoved() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction throws in
                try transaction.insertSamples()
                try transaction.insert(jobInputs: [
                    JobInputRecord(jobID: "job_2", pointer: "/model", artifactID: "ckpt_1", artifactType: .checkpoint)
                ])
            }
            let start = try await store.read { try $0.lastEventSeq() }
            func removal() async throws -> StoreError.Code? {
                try await code { try await store.write { try $0.deleteCheckpoint("ckpt_1", at: at(9)) } }
            }
            #expect(try await removal() == .conflict)
            try await store.write { try $0.transition(job: "job_2", from: [.waiting], to: .cancelled, at: at(8)) }
            #expect(try await store.write { try $0.setPinned(checkpoint: "ckpt_1", true, at: at(8)).pinned })
            #expect(try await removal() == .conflict)
            try await store.write { try $0.setPinned(checkpoint: "ckpt_1", false, at: at(8)) }
            #expect(try await removal() == nil)
            #expect(try await removal() == .conflict)
            #expect(try await code { try await store.write { try $0.setPinned(checkpoint: "ckpt_1", true, at: at(8)) } } == .conflict)
            #expect(try await code { try await store.write { try $0.deleteCheckpoint("ckpt_9", at: at(9)) } } == .notFound)
            try await store.read { transaction throws in
                #expect(try transaction.checkpoint("ckpt_1")?.deletedAt == at(9))
                #expect(try transaction.checkpoint(path: "/data/jobs/job_1/checkpoints/step_10") == nil)
                #expect(try transaction.checkpoints(limit: 10).items.isEmpty)
                #expect(
                    try transaction.checkpoints(CheckpointFilter(jobID: "job_1", includesDeleted: true), limit: 10).items.map(\.id) == [
                        "ckpt_1"
                    ])
                let events = try transaction.events(after: start, EventFilter(types: ["checkpoint"]), limit: 10).items
                #expect(events.map { $0.payload["action"] } == ["pinned", "unpinned", "deleted"])
            }
            // The place is free again.
            try await store.write { try $0.insert(checkpoint: .sample("ckpt_2")) }
            #expect(try await code { try await store.write { try $0.insert(checkpoint: .sample("ckpt_3")) } } == .conflict)
        }
    }

    @Test func lineageLeadsFromEachArtifactToItsMakerAndUsers() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction throws in
                try transaction.insertSamples()
                try transaction.insert(dataset: .sample("ds_2", name: "made", sha256: digest("d"), producedBy: "job_1"))
                try transaction.insert(jobInputs: [
                    JobInputRecord(jobID: "job_2", pointer: "/model", artifactID: "ckpt_1", artifactType: .checkpoint)
                ])
            }
            try await store.read { transaction throws in
                #expect(try transaction.producer(of: "ckpt_1")?.id == "job_1")
                #expect(try transaction.producer(of: "eval_1")?.id == "job_1")
                #expect(try transaction.producer(of: "ds_2")?.id == "job_1")
                #expect(try transaction.producer(of: "ds_1") == nil)
                #expect(try transaction.producer(of: "nothing") == nil)
                #expect(try transaction.consumers(of: "ds_1").map(\.jobID) == ["job_1"])
                #expect(try transaction.consumers(of: "ckpt_1").map(\.pointer) == ["/model"])
                #expect(try transaction.inputs(job: "job_1").map(\.artifactID) == ["ds_1"])
                #expect(try transaction.products(job: "job_1").map(\.id) == ["ckpt_1", "ds_2", "eval_1"])
                #expect(
                    try transaction.products(job: "job_1").map(\.label) == [
                        "/data/jobs/job_1/checkpoints/step_10", "made@1", "/models/base",
                    ])
                #expect(try transaction.evaluations(ofModel: "ckpt_1").map(\.id) == ["eval_1"])
                #expect(try transaction.needs(job: "job_2") == ["job_1"] && transaction.dependents(job: "job_1") == ["job_2"])
                #expect(try transaction.needs(experiment: "exp_1") == ["job_2": ["job_1"]])
            }
        }
    }

    @Test func evaluationsAreListedNewestFirst() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { transaction throws in
                try transaction.insertSamples()
                for number in 2...5 { try transaction.insert(evaluation: .sample("eval_\(number)", job: number == 5 ? "job_2" : "job_1")) }
            }
            try await fixture.store.read { transaction throws in
                #expect(try transaction.evaluation("eval_1") == .sample())
                #expect(try transaction.evaluations(limit: 3).items.map(\.id) == ["eval_5", "eval_4", "eval_3"])
                #expect(try transaction.evaluations(job: "job_1", limit: 3, after: "eval_3").items.map(\.id) == ["eval_2", "eval_1"])
                let event = try transaction.events(after: 0, EventFilter(types: ["evaluation"]), limit: 1).items.first
                #expect(event?.payload["benchmarks"] == [["dataset": "toy", "samples": 1]])
            }
        }
    }

    @Test func whatTheDaemonKeepsForItselfComesBack() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { try $0.insertSamples() }
            let (answer, hash, statistics) = try await store.read { transaction throws in
                (
                    try transaction.idempotency(key: "k", route: "POST /v1/experiments"), try transaction.fileHash(path: "/f"),
                    try transaction.statistics()
                )
            }
            #expect(answer?.body == [1, 2] && answer?.status == 201 && answer?.bodyHash == "h")
            #expect(hash == FileHashRecord(path: "/f", device: 1, inode: .max, bytes: 3, modifiedNanoseconds: 9, sha256: digest("c")))
            #expect(statistics.jobs == 2 && statistics.experiments == 1 && statistics.liveAttempts == 1 && statistics.checkpoints == 1)
            #expect(statistics.databaseBytes > 0 && statistics.schemaVersion == Migration.embedded.count && statistics.lastEventSeq > 0)
            #expect(
                try await code {
                    try await store.write {
                        try $0.insert(
                            idempotency: IdempotencyRecord(
                                key: "k", route: "POST /v1/experiments", bodyHash: "other", status: 201, body: [], createdAt: at(2)))
                    }
                } == .conflict)
            try await store.write { transaction throws in
                #expect(try transaction.deleteIdempotency(before: at(1)) == 0)
                #expect(try transaction.deleteIdempotency(before: at(2)) == 1)
                try transaction.setSetting("a", nil)
                #expect(try transaction.setting("a") == nil)
            }
        }
    }
}
