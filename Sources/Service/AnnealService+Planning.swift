import Domain
import JSON
import Specification
import Store
import Synchronization

/// A spec that was found right.
struct CheckedSubmission: Sendable {
    var document: SpecDocument
    var plan: ExperimentPlan
    /// What could not be checked before the start, and why.
    var warnings: [String]
}

// Planning: from a document to jobs, or to all that is wrong with it.
extension AnnealService {
    /// - Parameter assumesFiles: take local paths that do not exist for what their names look like.
    func makePlan(_ request: SubmissionRequest, assumesFiles: Bool = false) async throws -> CheckedSubmission {
        let (store, lists, policy) = (store, trainArguments, pathPolicy)
        let clusters = configuration.clusters.filter { !$0.isLocal }.map(\.name)
        let kind = assumesFiles ? PathProbe.assumedKind(of:) : PathProbe.kind(of:)
        let attempt: @Sendable () -> PlanAttempt = {
            let lookUps = TrainArgumentLookUps(lists)
            var context = PlanContext(
                baseDirectory: request.baseDirectory, pathExists: { policy.permits($0) ? kind($0) : nil },
                artifactExists: { Self.isRegistered($0, within: request.reach, in: store) },
                readFile: { policy.permits($0) ? PathProbe.content(of: $0) : nil },
                refusal: { policy.permits($0) ? nil : policy.refusal(of: $0) }, trainArguments: lookUps.arguments)
            context.clusters = clusters
            return PlanAttempt(outcome: Result { try Self.plan(request, context) }, lookUps: lookUps)
        }
        var first = try await planner.run(attempt)
        if let method = first.lookUps.unasked {
            // Python takes seconds; specs without 'args' are not held up by it.
            try await asking.run {
                if case .unasked = lists.knowledge(of: method) { lists.ask() }
            }
            first = try await planner.run(attempt)
        }
        var submission = try first.outcome.get()
        try checkReach(of: submission, request.reach)
        if let reason = first.lookUps.obstacle {
            let names = submission.plan.jobs.filter { $0.takesArguments }.map { "'\($0.group ?? $0.name)'" }
            let distinct = names.enumerated().filter { $0.offset == 0 || names[$0.offset - 1] != $0.element }.map(\.element)
            submission.warnings.append(
                "the 'args' of \(distinct.joined(separator: ", ")) are checked only when the trainer starts: \(reason)")
        }
        return submission
    }

    /// Refuses a spec for a project that is not the submitter's.
    private func checkReach(of submission: CheckedSubmission, _ reach: Reach) throws(ServiceError) {
        guard case .projects(let names) = reach, !names.contains(submission.plan.project) else { return }
        let allowed = names.sorted().map { "'\($0)'" }.joined(separator: ", ")
        let line = submission.document.position(of: JSONPointer(["project"]))?.line
        throw ServiceError(
            .forbidden, "the token may submit to \(allowed), and not to the project '\(submission.plan.project)'",
            errors: [.init(pointer: "/project", line: line, detail: "must be one of \(allowed)")])
    }

    private nonisolated static func plan(_ request: SubmissionRequest, _ context: PlanContext) throws -> CheckedSubmission {
        do throws(SpecErrors) {
            let (document, plan) = try plan(request, overrides: request.overrides, context)
            return CheckedSubmission(document: document, plan: plan, warnings: [])
        } catch {
            // A sound document that only its overrides spoil is in conflict with them, and not malformed.
            let isSoundAlone = !request.overrides.isEmpty && isSound(request, context)
            if error.errors.contains(where: { $0.code == .notAllowed }) { throw ServiceError(specErrors: error, code: .forbidden) }
            throw ServiceError(
                specErrors: error, code: isSoundAlone || error.isAboutWhatIsNamed ? .unresolvedSpec : .invalidSpec)
        }
    }

    private nonisolated static func plan(
        _ request: SubmissionRequest, overrides: [String], _ context: PlanContext
    ) throws(SpecErrors) -> (SpecDocument, ExperimentPlan) {
        let document = try SpecDocument.parse(request.document, format: request.format).get().setting(overrides: overrides).get()
        return (document, try ExperimentPlan.make(from: document, context: context).get())
    }

    private nonisolated static func isSound(_ request: SubmissionRequest, _ context: PlanContext) -> Bool {
        do throws(SpecErrors) {
            _ = try plan(request, overrides: [], context)
            return true
        } catch {
            return error.isAboutWhatIsNamed
        }
    }

    /// True where a spec's `name`, `name@version`, `ds_…`, `checkpoint:<id>` or `eval_…` is registered, and the submitter may see it.
    private nonisolated static func isRegistered(_ name: String, within reach: Reach, in store: Store) -> Bool {
        let found = try? store.readSync { reader -> Bool in  // An unreadable database fails the submission right after.
            if reach != .everything {
                let (subject, id): (AccessSubject, String) =
                    name.hasPrefix("checkpoint:")
                    ? (.checkpoint, String(name.dropFirst(11))) : (name.hasPrefix("eval_") ? .evaluation : .dataset, name)
                guard try isWithin(subject, id, reach, in: reader) else { return false }
            }
            if name.hasPrefix("checkpoint:") { return try reader.checkpoint(String(name.dropFirst(11)))?.deletedAt == nil }
            if name.hasPrefix("eval_") { return try reader.evaluation(name) != nil }
            return try reader.dataset(reference: name) != nil
        }
        return found ?? false
    }
}

/// One pass over a document, and what it lacked.
private struct PlanAttempt: Sendable {
    var outcome: Result<CheckedSubmission, any Error>
    var lookUps: TrainArgumentLookUps
}

/// What the check of one document asks of the trainer's lists, and where they had no answer.
private final class TrainArgumentLookUps: Sendable {
    private struct State {
        var unasked: String?
        var obstacle: String?
    }

    private let lists: TrainArgumentLists
    private let state = Mutex(State())

    init(_ lists: TrainArgumentLists) { self.lists = lists }

    /// A method whose list the trainer has not been asked for.
    var unasked: String? { state.withLock { $0.unasked } }
    /// Why arguments were not checked.
    var obstacle: String? { state.withLock { $0.obstacle } }

    @Sendable func arguments(of method: String) -> TrainArguments? {
        switch lists.knowledge(of: method) {
        case .list(let arguments): return arguments
        case .unasked:
            // Where it stays so although the trainer was asked, its files were another's in between.
            state.withLock { ($0.unasked, $0.obstacle) = (method, "the trainer's files change") }
        case .unavailable(let reason): state.withLock { $0.obstacle = reason }
        }
        return nil
    }
}

extension JobPlan {
    /// True where it hands arguments to TRL.
    fileprivate var takesArguments: Bool { kind == .train && !(spec["args"]?.object ?? [:]).isEmpty }
}

extension SpecErrors {
    /// True where the document keeps to the schema and fails only by what it names or how its parts go together.
    fileprivate var isAboutWhatIsNamed: Bool {
        errors.allSatisfy { [.unknownName, .unknownReference, .cycle, .missingFile, .conflict].contains($0.code) }
    }
}

extension ServiceError {
    fileprivate init(specErrors: SpecErrors, code: Code) {
        let details = specErrors.errors.map { Detail(pointer: $0.pointer.description, line: $0.line, column: $0.column, detail: $0.detail) }
        let first = details.first?.detail ?? "the spec is invalid"
        self.init(
            code, details.count == 1 ? first : "\(details.count) errors; the first: \(first)",
            errors: details)
    }
}
