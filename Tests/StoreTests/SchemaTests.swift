import Domain
import Testing

@testable import Store

/// The schema itself refuses what the code must never write.
@Suite struct SchemaTests {
    /// A value that breaks one CHECK, set on the sample row of a table.
    struct BadValue: CustomTestStringConvertible, Sendable {
        let table: String
        let assignment: String
        var testDescription: String { "\(table): \(assignment)" }
        init(_ table: String, _ assignment: String) {
            self.table = table
            self.assignment = assignment
        }
    }

    static let badValues: [BadValue] = [
        BadValue("experiment", "id = 'job_1'"), BadValue("experiment", "name = ''"), BadValue("experiment", "project = ''"),
        BadValue("experiment", "state = 'sleeping'"), BadValue("experiment", "tags = '[]'"), BadValue("experiment", "spec = '{'"),
        BadValue("experiment", "created_at_ms = -1"), BadValue("experiment", "state = 'failed', finished_at_ms = -1"),
        BadValue("experiment", "state = 'succeeded'"),
        BadValue("job", "id = '1'"), BadValue("job", "position = -1"), BadValue("job", "name = ''"), BadValue("job", "kind = 'dance'"),
        BadValue("job", "matrix = '1'"), BadValue("job", "state = 'asleep'"), BadValue("job", "priority = 101"),
        BadValue("job", "gpus = -1"),
        BadValue("job", "cpus = -1"), BadValue("job", "memory_bytes = -1"), BadValue("job", "timeout_ms = 0"),
        BadValue("job", "grace_ms = -1"),
        BadValue("job", "retry_limit = -1"), BadValue("job", "retry_delay_ms = -1"), BadValue("job", "retry_backoff = -0.5"),
        BadValue("job", "cache_enabled = 2"), BadValue("job", "environment = 'x'"), BadValue("job", "spec = '[1]'"),
        BadValue("job", "not_before_ms = -1"), BadValue("job", "failures = -1"), BadValue("job", "cache_key = ''"),
        BadValue("job", "outputs = '3'"),
        BadValue("job", "summary = 'null'"), BadValue("job", "created_at_ms = -1"), BadValue("job", "queued_at_ms = -1"),
        BadValue("job", "started_at_ms = -1"), BadValue("job", "state = 'failed', finished_at_ms = -1"),
        BadValue("job", "finished_at_ms = 5"),
        BadValue("job", "cached_from = 'job_2'"),
        BadValue("job_need", "need_id = job_id"),
        BadValue("job_input", "pointer = 'dataset'"), BadValue("job_input", "artifact_id = ''"),
        BadValue("job_input", "artifact_type = 'cake'"),
        BadValue("job_input", "sha256 = 'abc'"),
        BadValue("attempt", "id = 'job_9'"), BadValue("attempt", "number = 0"), BadValue("attempt", "state = 'waiting'"),
        BadValue("attempt", "signal = 0"), BadValue("attempt", "gpus = '{}'"), BadValue("attempt", "cpus = -1"),
        BadValue("attempt", "memory_bytes = -1"), BadValue("attempt", "directory = ''"), BadValue("attempt", "token_hash = ''"),
        BadValue("attempt", "resumed_from_step = -1"), BadValue("attempt", "created_at_ms = -1"), BadValue("attempt", "started_at_ms = -1"),
        BadValue("attempt", "state = 'lost', finished_at_ms = -1"), BadValue("attempt", "rusage = '[]'"),
        BadValue("attempt", "state = 'lost'"),
        BadValue("dataset", "id = 'x'"), BadValue("dataset", "name = ''"), BadValue("dataset", "version = 0"),
        BadValue("dataset", "sha256 = 'ABC'"),
        BadValue("dataset", "rows = -1"), BadValue("dataset", "bytes = -1"), BadValue("dataset", "format = ''"),
        BadValue("dataset", "path = ''"),
        BadValue("dataset", "source = '{'"), BadValue("dataset", "created_at_ms = -1"),
        BadValue("checkpoint", "id = 'x'"), BadValue("checkpoint", "kind = 'cake'"), BadValue("checkpoint", "step = -1"),
        BadValue("checkpoint", "path = ''"), BadValue("checkpoint", "sha256 = ''"), BadValue("checkpoint", "bytes = -1"),
        BadValue("checkpoint", "metrics = '[]'"), BadValue("checkpoint", "pinned = 2"), BadValue("checkpoint", "created_at_ms = -1"),
        BadValue("checkpoint", "deleted_at_ms = -1"), BadValue("checkpoint", "pinned = 1, deleted_at_ms = 5"),
        BadValue("checkpoint", "step = NULL"),
        BadValue("evaluation", "id = 'x'"), BadValue("evaluation", "document = '[]'"), BadValue("evaluation", "compare = '{'"),
        BadValue("evaluation", "gate = '{'"), BadValue("evaluation", "created_at_ms = -1"),
        BadValue("metric_key", "key = ''"), BadValue("metric_series", "source = 10"), BadValue("metric_series", "count = -1"),
        BadValue("metric_chunk", "count = 0"), BadValue("metric_batch", "count = 0"), BadValue("metric_batch", "is_told = 2"),
        BadValue("metric_batch", "at_ms = -1"), BadValue("metric_attempt", "dropped_points = -1"), BadValue("metric_client_id", "id = ''"),
        BadValue("metric_cursor", "path = ''"), BadValue("metric_cursor", "offset = -1"),
        BadValue("event", "at_ms = -1"), BadValue("event", "type = ''"), BadValue("event", "payload = '[]'"),
        BadValue("idempotency", "key = ''"), BadValue("idempotency", "route = ''"), BadValue("idempotency", "body_hash = ''"),
        BadValue("idempotency", "status = 99"), BadValue("idempotency", "headers = ''"), BadValue("idempotency", "created_at_ms = -1"),
        BadValue("file_hash", "path = ''"), BadValue("file_hash", "bytes = -1"), BadValue("file_hash", "sha256 = ''"),
        BadValue("setting", "key = ''"),
        BadValue("job", "policy = '[]'"), BadValue("job", "held = 2"), BadValue("job", "micro_batch_divisor = 0"),
        BadValue("attempt", "allocation = '[]'"), BadValue("attempt", "evidence = '{}'"),
        BadValue("attempt", "cluster = ''"), BadValue("attempt", "external_id = ''"),
        BadValue("project", "name = ''"), BadValue("project", "weight = 0"), BadValue("project", "gpu_limit = -1"),
        BadValue("project", "usage_gpu_seconds = -1"), BadValue("project", "usage_at_ms = -1"),
        BadValue("metric_attempt", "curve_tier = 3"), BadValue("metric_attempt", "device_tier = -1"),
        BadValue("tracked_run", "id = 'x'"), BadValue("tracked_run", "name = ''"), BadValue("tracked_run", "status = 'LOST'"),
        BadValue("tracked_run", "started_at_ms = -1"), BadValue("tracked_run", "ended_at_ms = -1"),
        BadValue("tracked_run", "deleted_at_ms = -1"),
        BadValue("run_param", "key = ''"), BadValue("run_param", "value = printf('%6001d', 1)"), BadValue("run_param", "attempt = -1"),
        BadValue("run_tag", "key = printf('%251d', 1)"), BadValue("run_tag", "value = printf('%8001d', 1)"),
        BadValue("run_input", "name = ''"), BadValue("run_input", "document = '[]'"),
        BadValue("gpu_account", "gpu_seconds = -1"), BadValue("gpu_account", "idle_seconds = -1"),
        BadValue("webhook", "id = 'x'"), BadValue("webhook", "url = ''"), BadValue("webhook", "types = '{}'"),
        BadValue("webhook", "created_at_ms = -1"), BadValue("webhook", "deleted_at_ms = -1"),
        BadValue("webhook_delivery", "id = 'x'"), BadValue("webhook_delivery", "state = 'lost'"),
        BadValue("webhook_delivery", "tries = -1"),
        BadValue("webhook_delivery", "next_at_ms = -1"), BadValue("webhook_delivery", "created_at_ms = -1"),
        BadValue("dataset_tag", "key = ''"), BadValue("dataset_tag", "value = printf('%1001d', 1)"),
        BadValue("generation_pass", "seed = -1"), BadValue("generation_pass", "chunk = -1"), BadValue("generation_pass", "chunks = 0"),
        BadValue("generation_pass", "first = -1"), BadValue("generation_pass", "total = -1, done = -2"),
        BadValue("generation_pass", "fingerprint = ''"), BadValue("generation_pass", "done = 11"),
        BadValue("generation_pass", "failed = -1"),
        BadValue("generation_pass", "reused = -1"), BadValue("generation_pass", "tokens = -1"), BadValue("generation_pass", "stopped = -1"),
        BadValue("generation_pass", "truncated = -1"), BadValue("generation_pass", "called = -1"),
        BadValue("generation_pass", "otherwise = -1"), BadValue("generation_pass", "first_at_ms = -1"),
        BadValue("generation_pass", "last_at_ms = -1"), BadValue("generation_segment", "number = -1"),
        BadValue("generation_segment", "bits = zeroblob(4097)"), BadValue("generation_failure", "position = -1"),
        BadValue("generation_failure", "cause = ''"), BadValue("generation_failure", "tries = -1"),
        BadValue("generation_failure", "last_at_ms = -1"),
        BadValue("api_token", "id = 'x'"), BadValue("api_token", "name = ''"), BadValue("api_token", "hash = 'abc'"),
        BadValue("api_token", "scope = 'all'"), BadValue("api_token", "projects = '{}'"), BadValue("api_token", "created_at_ms = -1"),
        BadValue("api_token", "expires_at_ms = -1"), BadValue("api_token", "last_used_at_ms = -1"),
        BadValue("api_token", "revoked_at_ms = -1"), BadValue("audit", "at_ms = -1"), BadValue("audit", "last_at_ms = 0"),
        BadValue("audit", "count = 0"), BadValue("audit", "actor_kind = ''"), BadValue("audit", "operation = ''"),
        BadValue("audit", "targets = '{}'"), BadValue("audit", "status = 99"),
        BadValue("project", "queued_limit = -1"), BadValue("project", "running_limit = -1"),
        BadValue("project", "artifact_bytes_limit = -1"),
        BadValue("gpu_state", "uuid = ''"), BadValue("gpu_state", "drained = 2"), BadValue("gpu_state", "since_ms = -1"),
    ]

    @Test func everyCheckRejectsItsBadRow() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.insertSamples() }
            var broken: Set<String> = []
            for bad in Self.badValues {
                do {
                    try await fixture.store.write { try $0.execute("UPDATE \(bad.table) SET \(bad.assignment)") }
                    Issue.record("\(bad.testDescription) was accepted")
                } catch let error as StoreError {
                    #expect(error.code == .constraint, "\(bad.testDescription): \(error)")
                    broken.insert("\(bad.table): \(error.message)")
                }
            }
            // Each CHECK of the schema was broken by some value, so that a new one cannot go untested.
            let checks = Migration.embedded.map { $0.sql.split(separator: "CHECK (").count - 1 }.reduce(0, +)
            // Two were on the table `metric`, which is no more.
            #expect(broken.count == checks - 2)
        }
    }

    @Test(arguments: [
        "UPDATE experiment SET created_at_ms = 'soon'", "UPDATE job SET experiment_id = 'exp_9'", "UPDATE job SET priority = NULL",
        "UPDATE attempt SET job_id = 'job_9'", "UPDATE metric_series SET key_id = 99", "DELETE FROM experiment",
        "UPDATE job_need SET need_id = 'job_9'",
    ])
    func typesAndReferencesHold(statement: String) async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.insertSamples() }
            #expect(try await code { try await fixture.store.write { try $0.execute(statement) } } == .constraint)
        }
    }

    @Test func aJobHasOneLiveAttempt() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.insertSamples() }
            #expect(try await code { try await fixture.store.write { try $0.insert(attempt: .sample("att_2", number: 2)) } } == .conflict)
            try await fixture.store.write { try $0.transition(attempt: "att_1", from: [.starting], to: .failed, at: at(9)) }
            try await fixture.store.write { try $0.insert(attempt: .sample("att_2", number: 2)) }
            #expect(try await fixture.store.read { try $0.liveAttempts().map(\.id) } == ["att_2"])
        }
    }

    @Test func listsAndLookupsUseAnIndex() async throws {
        let queries = [
            "SELECT * FROM experiment WHERE project = 'a' AND name = 'b' ORDER BY id DESC LIMIT 1",
            "SELECT * FROM experiment WHERE state IN ('running') AND id < 'x' ORDER BY id DESC",
            "SELECT * FROM job WHERE state IN ('queued') AND id < 'x' ORDER BY id DESC",
            "SELECT * FROM job WHERE kind IN ('train') AND id < 'x' ORDER BY id DESC",
            "SELECT * FROM job WHERE experiment_id = 'a' ORDER BY position",
            "SELECT state, count(*) FROM job WHERE experiment_id = 'a' GROUP BY state",
            "SELECT id FROM job WHERE finished_at_ms IS NULL ORDER BY id",
            "SELECT * FROM job WHERE cache_key = 'a' AND state = 'succeeded' AND cached_from IS NULL ORDER BY finished_at_ms DESC LIMIT 1",
            "SELECT * FROM job_need WHERE need_id = 'a'", "SELECT * FROM job_input WHERE artifact_id = 'a'",
            "SELECT * FROM attempt WHERE job_id = 'a' ORDER BY number", "SELECT * FROM attempt WHERE token_hash = 'a'",
            "SELECT * FROM dataset WHERE name = 'a' ORDER BY version DESC LIMIT 1", "SELECT * FROM dataset WHERE produced_by = 'a'",
            "SELECT * FROM checkpoint WHERE path = 'a' AND deleted_at_ms IS NULL",
            "SELECT * FROM checkpoint WHERE job_id = 'a' ORDER BY id DESC",
            "SELECT * FROM evaluation WHERE job_id = 'a' ORDER BY id DESC", "SELECT * FROM evaluation WHERE model_artifact_id = 'a'",
            "SELECT * FROM event WHERE seq > 5 ORDER BY seq", "SELECT * FROM event WHERE seq > 5 AND job_id = 'a' ORDER BY seq",
            "SELECT * FROM event WHERE seq > 5 AND experiment_id = 'a' ORDER BY seq",
            "SELECT * FROM metric_series WHERE attempt_ordinal = 1 AND key_id = 1 ORDER BY source",
            "SELECT * FROM metric_chunk WHERE series_id = 1 AND first_step <= 5 AND last_step >= 2 ORDER BY first_step, first_at_ms",
            "SELECT * FROM metric_chunk WHERE series_id = 1 AND (first_step, first_at_ms) <= (5, 5) ORDER BY first_step DESC, first_at_ms DESC",
            "SELECT * FROM metric_batch WHERE attempt_ordinal = 1 AND seq > 5 ORDER BY seq",
            "SELECT * FROM idempotency WHERE key = 'a' AND route = 'b'",
            "SELECT * FROM tracked_run WHERE job_id = 'a' ORDER BY id", "SELECT * FROM run_param WHERE run_id = 'a' ORDER BY key",
            "SELECT * FROM webhook_delivery WHERE webhook_id = 'a' AND id < 'x' ORDER BY id DESC",
            "SELECT * FROM generation_pass WHERE job_id = 'a' ORDER BY seed",
            "SELECT * FROM generation_pass WHERE fingerprint = 'a' AND seed = 1 AND job_id <> 'b'",
            "SELECT * FROM generation_pass JOIN generation_failure ON pass_id = generation_pass.id "
                + "WHERE job_id = 'a' AND (seed, position) > (1, 2) ORDER BY seed, position",
            "SELECT * FROM webhook_delivery WHERE state = 'waiting' AND next_at_ms <= 5 ORDER BY next_at_ms",
        ]
        try await StoreFixture.with { fixture in
            for query in queries {
                let plan = try await fixture.store.read { transaction in
                    try transaction.rows("EXPLAIN QUERY PLAN \(query)") { row in
                        _ = (row.integer(), row.integer(), row.integer())
                        return row.text()
                    }
                }
                #expect(!plan.contains { $0.hasPrefix("SCAN") && !$0.contains("INDEX") || $0.contains("TEMP B-TREE") }, "\(query): \(plan)")
            }
        }
    }
}
