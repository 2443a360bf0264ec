import APITypes
import Domain
import EventLoop
import Glibc
import JSON
import Store

// Files that nobody needs any more: what they are, and their removal.
extension AnnealService {
    /// What would go now, and why. Changes nothing.
    public func garbage() async throws -> GarbageView {
        rendering(try await items(try await garbageSearch()), removed: false, failures: [])
    }

    /// Removes what retention lets go of; each thing is looked at once more and noted in the audit file before it goes.
    public func collectGarbage() async throws -> GarbageView {
        try refuseDuringBackup("the removal of files")
        guard !isCollecting else { throw ServiceError(.conflict, "files are being removed already") }
        isCollecting = true
        defer { isCollecting = false }
        var removed: [GarbageItem] = []
        var failures: [String] = []
        let search = try await garbageSearch()
        for item in try await items(search) {
            try refuseDuringBackup("the rest of the removal of files")
            do {
                if try await remove(item, search) { removed.append(item) }
            } catch {
                failures.append("\(item.path): \((error as? ServiceError)?.detail ?? "\(error)")")
            }
        }
        let bytes = removed.reduce(0) { $0 + $1.bytes }
        let (count, moment) = (removed.count, now)
        if count > 0 {
            log.notice("retention removed files", metadata: ["count": "\(count)", "bytes": "\(bytes)", "audit": "\(auditPath)"])
            try await store.write {
                try $0.appendEvent("gc", at: moment, payload: ["count": .int(Int64(count)), "bytes": .int(bytes)])
            }
        }
        return rendering(removed, removed: true, failures: failures)
    }

    /// Removes once a day, where the configuration says so.
    func collectGarbageDaily() async throws {
        guard configuration.artifactRetention.isAutomatic, backup?.isRunning != true, !isCollecting else { return }
        let key = "gc_last_at_ms"
        let last = try await store.read { try $0.setting(key) }.flatMap { Int64($0) } ?? 0
        let moment = now
        guard moment.milliseconds - last >= Self.garbageInterval.milliseconds else { return }
        try await store.write { try $0.setSetting(key, String(moment.milliseconds)) }
        _ = try await collectGarbage()
    }

    /// Forgets stored answers to requests that no client repeats any more, whether files are collected or not.
    func forgetAnswers() async throws {
        guard let age = configuration.artifactRetention.answers, backup?.isRunning != true else { return }
        let before = Timestamp(milliseconds: max(0, now.milliseconds - age.milliseconds))
        let gone = try await store.write { try $0.deleteIdempotency(before: before) }
        if gone > 0 { log.info("old answers to requests were forgotten", metadata: ["count": "\(gone)"]) }
    }

    private static let garbageInterval: Duration = .seconds(86_400)

    private nonisolated var auditPath: String { configuration.dataDirectory + "/removed.jsonl" }

    private func garbageSearch() async throws -> GarbageSearch {
        let (configuration, moment) = (configuration, now)
        let facts = try await store.read { try GarbageSearch.facts($0, configuration, now: moment) }
        return GarbageSearch(configuration: configuration, facts: facts, now: moment)
    }

    private func items(_ search: GarbageSearch) async throws -> [GarbageItem] {
        try await backups.run { try search.items() }.sorted { ($1.bytes, $0.path) < ($0.bytes, $1.path) }
    }

    /// Returns false where it turned out to be needed, or is gone already.
    private func remove(_ item: GarbageItem, _ search: GarbageSearch) async throws -> Bool {
        let (moment, audit) = (now, auditPath)
        switch item.kind {
        case "checkpoint":
            guard let id = item.id, let record = try await store.read({ try $0.checkpoint(id) }), record.path == item.path,
                jobs[record.jobID]?.attempt == nil
            else { return false }
            // Refuses what has been pinned or taken into use since.
            try await store.write { _ = try $0.deleteCheckpoint(id, at: moment) }
        case "attempt_log":
            guard let id = item.id, let attempt = try await store.read({ try $0.attempt(id) }), jobs[attempt.jobID]?.attempt == nil else {
                return false
            }
        case "answers":
            guard let age = configuration.artifactRetention.answers else { return false }
            let before = Timestamp(milliseconds: moment.milliseconds - age.milliseconds)
            try await backups.run { try Self.note(item, in: audit, at: moment) }
            return try await store.write { try $0.deleteIdempotency(before: before) } > 0
        default:
            return try await backups.run {
                guard search.isStillOld(item) else { return false }
                try Self.remove(item, audit, at: moment)
                return true
            }
        }
        try await backups.run { try Self.remove(item, audit, at: moment) }
        return true
    }

    private nonisolated static func remove(_ item: GarbageItem, _ audit: String, at moment: Timestamp) throws {
        try note(item, in: audit, at: moment)
        try Folders.remove(item.path)
    }

    /// Writes down what is about to go.
    private nonisolated static func note(_ item: GarbageItem, in path: String, at moment: Timestamp) throws {
        let line: JSONValue = [
            "at": .string(moment.description), "kind": .string(item.kind), "id": item.id.map(JSONValue.string) ?? .null,
            "path": .string(item.path), "bytes": .int(item.bytes), "reason": .string(item.reason),
        ]
        guard let file = fopen(path, "ae") else { throw Folders.failure("open", path) }
        defer { fclose(file) }
        let bytes = JSONWriter().bytes(of: line) + [UInt8(ascii: "\n")]
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count, fflush(file) == 0, fdatasync(fileno(file)) == 0 else {
            throw Folders.failure("write to", path)
        }
    }

    private func rendering(_ items: [GarbageItem], removed: Bool, failures: [String]) -> GarbageView {
        let kinds = Dictionary(grouping: items, by: \.kind).map { kind, items in
            GarbageKind(kind: kind, count: items.count, bytes: items.reduce(0) { $0 + $1.bytes })
        }
        return GarbageView(
            removed: removed, count: items.count, bytes: items.reduce(0) { $0 + $1.bytes }, kinds: kinds.sorted { $0.kind < $1.kind },
            items: Array(items.prefix(ServiceLimits.garbageItemsMax)),
            failures: Array(failures.prefix(ServiceLimits.garbageItemsMax)), audit: auditPath)
    }
}
