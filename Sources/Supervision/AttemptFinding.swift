import Glibc
import JSON

/// What the folder, the lock and the process table say of an attempt, taken together.
enum AttemptFinding: Sendable {
    case ended(ExitRecord)
    /// A shim holds the lock; `nil` where it has not yet said who it is.
    case live(ShimIdentity?)
    case unsupervised([SeenProcess])
    case neverStarted(String)
    case lost(String)

    /// Looks. Blocks.
    ///
    /// The lock alone tells whether a shim lives. A shim that is found gone wrote exit.json, if it did, before it gave its lock back: so
    /// the record is looked for once more after the lock.
    static func examine(_ folder: AttemptFolder) -> AttemptFinding {
        if let record = exitRecord(folder).record { return .ended(record) }
        do {
            if try folder.isLocked() { return .live(identity(folder)) }
        } catch let error as SupervisionError where error.errorNumber == ENOENT {
            return orphans(of: nil, folder) ?? .lost("the attempt's folder '\(folder.path)' is gone")
        } catch {
            // Not to see is not to know: nothing is decided without the lock.
            return .live(identity(folder))
        }
        let exit = exitRecord(folder)
        if let record = exit.record { return .ended(record) }
        return withoutShim(folder, damage: exit.damage)
    }

    private static func withoutShim(_ folder: AttemptFolder, damage: String?) -> AttemptFinding {
        let spec = folder.read("spec.json")
        let identity = identity(folder)
        let bootID = identity?.bootID ?? (try? spec.get())?["boot_id"]?.string  // an unreadable spec.json names no boot
        guard let current = try? ShimIdentity.currentBootID(), bootID == nil || bootID == current else {  // no boot id: cannot compare
            return .lost("the host was rebooted while the attempt ran")
        }
        if let orphans = orphans(of: identity, folder) { return orphans }
        // The leaf that the shim would have removed; the call fails unless it is empty.
        if let group = identity?.controlGroup { rmdir(group) }
        if let damage { return .lost(damage) }
        guard let identity else { return startless(folder, spec) }
        return .lost("the supervisor (pid \(identity.shimPID)) and its exit record are gone")
    }

    private static func orphans(of identity: ShimIdentity?, _ folder: AttemptFolder) -> AttemptFinding? {
        let remains = ProcessScan.remains(of: identity, folder: folder)
        return remains.isEmpty ? nil : .unsupervised(remains)
    }

    /// The shim records itself before the worker's program may run, so without that record none has run.
    private static func startless(_ folder: AttemptFolder, _ spec: Result<JSONValue, RecordAbsence>) -> AttemptFinding {
        switch folder.read("shim.json") {
        case .failure(.missing):
            if case .success = spec { return .neverStarted("the daemon ended before the attempt's supervisor had started its worker") }
            return .neverStarted("the daemon ended before the attempt's folder was complete")
        case .failure(.unreadable(let problem)): return .lost(problem)
        case .success: return .lost("shim.json does not say which processes it is about")
        }
    }

    /// Who the shim said it is; `nil` where it has not said so yet, or unreadably.
    static func identity(_ folder: AttemptFolder) -> ShimIdentity? {
        guard case .success(let document) = folder.read("shim.json") else { return nil }
        return ShimIdentity(document)
    }

    private static func exitRecord(_ folder: AttemptFolder) -> (record: ExitRecord?, damage: String?) {
        switch folder.read("exit.json") {
        case .success(let document):
            if let record = ExitRecord(document) { return (record, nil) }
            return (nil, "exit.json does not say how the worker ended")
        case .failure(.missing): return (nil, nil)
        case .failure(.unreadable(let problem)): return (nil, problem)
        }
    }
}
