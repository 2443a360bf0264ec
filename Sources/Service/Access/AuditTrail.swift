import APITypes
import Domain
import EventLoop
import Store

/// What was asked of the daemon, on its way to the database.
///
/// Each record is handed to the writer at once. Only what comes many times over, as a worker's measurements do, is counted for a while and
/// written down as one record.
@LoopActor
final class AuditTrail {
    private let store: Store
    private let onError: @LoopActor (any Error) -> Void
    /// Repeated requests that have not been written down, by actor and operation.
    private var counted: [String: AuditRecord] = [:]
    private var timer: LoopTimer?

    init(store: Store, onError: @escaping @LoopActor (any Error) -> Void) {
        self.store = store
        self.onError = onError
    }

    func add(_ record: AuditRecord, isFrequent: Bool) {
        guard isFrequent else { return write([record]) }
        let key = "\(record.actorKind) \(record.actor ?? "") \(record.operation) \(record.path) \(record.status)"
        if var known = counted[key], known.isRepeated(by: record) {
            known.count += 1
            known.lastAt = max(known.lastAt, record.at)
            counted[key] = known
        } else {
            if counted.count >= ServiceLimits.auditCountedMax { flush() }
            counted[key] = record
        }
        if timer == nil {
            timer = LoopTimer(after: .seconds(ServiceLimits.auditCountedSeconds)) { [weak self] in self?.flush() }
        }
    }

    /// Writes down what was counted.
    func flush() {
        timer?.cancel()
        timer = nil
        let records = counted.values.sorted { $0.at < $1.at }
        counted = [:]
        if !records.isEmpty { write(records) }
    }

    private func write(_ records: [AuditRecord]) {
        let (store, onError) = (store, onError)
        Task { @LoopActor in
            do {
                try await store.write { writer in for record in records { try writer.insert(audit: record) } }
            } catch {
                onError(error)
            }
        }
    }
}

// The audit log: who changed what.
extension AnnealService {
    /// Notes a request that changed something, or was to.
    ///
    /// - Parameter isFrequent: whether such requests come by the thousands, so that equal ones in a row are counted in one record.
    public func audit(_ record: AuditRecord, isFrequent: Bool) { auditTrail.add(record, isFrequent: isFrequent) }

    /// The audit log, newest first.
    public func auditLog(_ filter: AuditFilter, page: PageRequest) async throws -> APITypes.Page<AuditView> {
        // What is no number comes after all of them, as in lists of identifiers.
        let position = page.after.map { Int64($0) ?? 0 }
        auditTrail.flush()
        let found = try await store.read { try $0.audit(filter, limit: page.limit, after: position) }
        return APITypes.Page(found, id: { String($0.id) }, render: Self.view)
    }

    private nonisolated static func view(of record: AuditRecord) -> AuditView {
        AuditView(
            id: record.id, at: record.at.description, lastAt: record.lastAt.description, count: record.count, actorKind: record.actorKind,
            actor: record.actor, address: record.address, operation: record.operation, method: record.method, path: record.path,
            targets: record.targets, status: record.status)
    }

    /// Forgets what is older than the configuration keeps.
    func forgetAudit() async throws {
        let oldest = Timestamp(milliseconds: max(0, now.milliseconds - configuration.auditRetention.milliseconds))
        try await store.write { try $0.deleteAudit(before: oldest, keeping: ServiceLimits.auditRecordsMax) }
    }
}
