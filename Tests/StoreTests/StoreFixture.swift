import Domain
import Foundation
import JSON
import Testing

@testable import Store

/// A folder of its own with a store in it, removed after the test.
struct StoreFixture {
    let folder: String
    let store: Store
    var path: String { folder + "/anneal.db" }

    static func with(
        limits: StoreLimits = .standard, onCommit: @escaping @Sendable ([EventRecord]) -> Void = { _ in },
        _ body: (StoreFixture) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let store = try Store.open(path: folder + "/anneal.db", limits: limits, onCommit: onCommit)
            do {
                try await body(StoreFixture(folder: folder, store: store))
                await store.close()
            } catch {
                await store.close()
                throw error
            }
        }
    }

    static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/anneal-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { remove(folder) }
        try await body(folder)
    }

    private static func remove(_ folder: String) {
        do {
            try FileManager.default.removeItem(atPath: folder)
        } catch {
            Issue.record("\(folder) is left: \(error)")
        }
    }
}

/// The moment `milliseconds` after the epoch.
func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

/// A digest of the right form, told apart by one digit.
func digest(_ digit: Character) -> String { String(repeating: digit, count: 64) }

extension ExperimentRecord {
    static func sample(_ id: String = "exp_1", name: String = "demo", project: String = "default") -> ExperimentRecord {
        ExperimentRecord(
            id: id, name: name, project: project, tags: ["team": "a"], spec: ["name": .string(name)], document: "name: \(name)\n",
            createdAt: at(1000))
    }
}

extension JobRecord {
    static func sample(
        _ id: String = "job_1", experiment: String = "exp_1", position: Int = 0, state: JobState = .waiting, kind: JobKind = .train
    ) -> JobRecord {
        JobRecord(
            id: id, experimentID: experiment, position: position, name: "job-\(position)", kind: kind, state: state,
            resources: ResourceRequest(gpus: 1, cpus: 2, memoryBytes: 1 << 30), spec: ["kind": .string(kind.rawValue)], createdAt: at(1000))
    }
}

extension AttemptRecord {
    static func sample(_ id: String = "att_1", job: String = "job_1", number: Int = 1, resumedFromStep: Int? = nil) -> AttemptRecord {
        AttemptRecord(
            id: id, jobID: job, number: number, gpus: ["GPU-1"], cpus: 2, memoryBytes: 1 << 30, directory: "/data/attempts/\(id)",
            tokenHash: "hash-of-\(id)", resumedFromStep: resumedFromStep, createdAt: at(2000))
    }
}

extension CheckpointRecord {
    static func sample(_ id: String = "ckpt_1", step: Int = 10) -> CheckpointRecord {
        CheckpointRecord(
            id: id, jobID: "job_1", attemptID: "att_1", step: step, path: "/data/jobs/job_1/checkpoints/step_\(step)", sha256: digest("a"),
            bytes: 5,
            metrics: ["val_loss": 1.5], createdAt: at(3000))
    }
}

extension DatasetRecord {
    static func sample(_ id: String = "ds_1", name: String = "toy", sha256: String = digest("b"), producedBy: String? = nil)
        -> DatasetRecord
    {
        DatasetRecord(
            id: id, name: name, sha256: sha256, rows: 3, bytes: 90, format: "messages", path: "/data/datasets/\(sha256)",
            producedBy: producedBy,
            outputName: producedBy.map { _ in "train" }, source: ["file": "a.jsonl"], createdAt: at(3000))
    }
}

extension EvaluationRecord {
    static func sample(_ id: String = "eval_1", job: String = "job_1") -> EvaluationRecord {
        EvaluationRecord(
            id: id, jobID: job, attemptID: "att_1", model: "/models/base", modelArtifactID: "ckpt_1", path: "/data/e.json",
            document: ["benchmarks": [["dataset": "toy", "samples": 1]]], createdAt: at(4000))
    }
}

extension WriteTransaction {
    /// An experiment with one job, an attempt and one artifact of each kind.
    func insertSamples() throws {
        try insert(experiment: .sample())
        try insert(jobs: [.sample(), .sample("job_2", position: 1)])
        try insert(needs: ["job_1"], of: "job_2")
        try insert(attempt: .sample())
        try insert(dataset: .sample())
        try insert(checkpoint: .sample())
        try insert(evaluation: .sample())
        try insert(jobInputs: [
            JobInputRecord(jobID: "job_1", pointer: "/dataset", artifactID: "ds_1", artifactType: .dataset, sha256: digest("b"))
        ])
        try appendMetrics(
            attempt: "att_1", points: [MetricPoint(key: "train/loss", step: 1, at: at(2500), value: 2)],
            cursor: MetricCursor(path: "/m", inode: 1, offset: 40), at: at(2500))
        try packMetrics(attempt: "att_1", at: at(2500))
        _ = try claim(clientIDs: ["c"], attempt: "att_1")
        try insert(
            idempotency: IdempotencyRecord(
                key: "k", route: "POST /v1/experiments", bodyHash: "h", status: 201, body: [1, 2], createdAt: at(1)))
        try put(fileHash: FileHashRecord(path: "/f", device: 1, inode: .max, bytes: 3, modifiedNanoseconds: 9, sha256: digest("c")))
        try setSetting("a", "b")
        try setProject("p", weight: 1, gpuLimit: nil)
        try setGPUState(uuid: "GPU-1", drained: true, reason: "fan", at: at(1))
        try execute(
            "INSERT INTO tracked_run (id, job_id, name, prefix, user_name, status, started_at_ms) VALUES ('run_1', 'job_1', 'n', '', '', 'RUNNING', 1)"
        )
        try setTags(dataset: "ds_1", ["owner": "ada"])
        let pass = GenerationEntry.Pass(seed: 0, chunk: 0, chunks: 1, first: 0, total: 10, fingerprint: "f")
        try appendGenerations(
            job: "job_1", attempt: "att_1",
            entries: [
                .pass(pass), .done(seed: 0, .init(position: 1, tokens: 3, finish: .stop, at: at(5))),
                .failed(seed: 0, .init(position: 2, cause: "timeout", tries: 3, at: at(6), message: "m")),
            ], cursor: MetricCursor(path: "/g", inode: 1, offset: 40))
        try execute("INSERT INTO run_param (run_id, key, value, attempt) VALUES ('run_1', 'k', 'v', 1)")
        try execute("INSERT INTO run_tag (run_id, key, value) VALUES ('run_1', 'k', 'v')")
        try execute("INSERT INTO run_input (run_id, name, digest, document) VALUES ('run_1', 'n', 'd', '{}')")
        try execute("INSERT INTO gpu_account (attempt_ordinal, gpu_seconds, idle_seconds) SELECT ordinal, 1, 1 FROM attempt")
        try insert(
            token: TokenRecord(
                id: "tok_1", name: "ci", hash: String(repeating: "0", count: 64), scope: .read, projects: nil, createdBy: "socket",
                createdAt: at(1), expiresAt: nil))
        try insert(
            audit: AuditRecord(
                at: at(1), actorKind: "token", actor: "ci", address: nil, operation: "cancelJob", method: "POST",
                path: "/v1/jobs/job_1/cancel",
                targets: ["job_1"], status: 200))
        try execute(
            "INSERT INTO webhook (id, url, secret, types, created_at_ms) VALUES ('hook_1', 'https://example.org', 's', '[\"state\"]', 1)")
        try execute(
            """
            INSERT INTO webhook_delivery (id, webhook_id, event_seq, body, state, next_at_ms, created_at_ms)
            VALUES ('msg_1', 'hook_1', 1, '{}', 'waiting', 1, 1)
            """)
    }
}

/// The code of the store error that `body` throws; `nil` where it throws none.
func code<T>(of body: () async throws -> T) async throws -> StoreError.Code? {
    do {
        _ = try await body()
        return nil
    } catch let error as StoreError {
        return error.code
    }
}
