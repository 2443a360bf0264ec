import Domain
import JSON

/// The evaluation of every checkpoint of a training: a job with `on: checkpoint` whose model is `${job.checkpoint}`.
///
/// Such a job never runs itself. It is what the evaluations of single checkpoints, which are named `<job>-step-<n>`, are made from.
public struct EveryCheckpoint: Sendable, Hashable {
    /// The output of a training that stands for each of its checkpoints.
    static let output = "checkpoint"

    /// The name of the training.
    public var training: String
    /// Only steps that are multiples of this.
    public var every: Int?
    /// Only these steps; `nil` for all.
    public var steps: Set<Int>?

    /// What the body of a job of a plan asks for; `nil` for any other job.
    public init?(spec: JSONValue) {
        guard spec["kind"]?.string == JobKind.evaluate.rawValue, spec["on"]?.string == "checkpoint",
            let token = spec["model"]?.string.flatMap(Self.token)
        else { return nil }
        training = token.name
        every = spec["every"]?.int
        steps = (spec["steps"]?.array).map { Set($0.compactMap(\.int)) }
    }

    /// Whether the checkpoint of this step is evaluated.
    public func includes(step: Int) -> Bool {
        if let steps, !steps.contains(step) { return false }
        return every.map { step % $0 == 0 } ?? true
    }

    /// The name of the job that evaluates the checkpoint of a step.
    public static func jobName(of template: String, step: Int) -> String { "\(template)-step-\(step)" }

    /// The body of a job that evaluates one checkpoint by the template `spec`.
    public static func body(of spec: JSONValue, checkpointID: String) -> JSONValue {
        guard case .object(var members) = spec else { return spec }
        for key in keys { members[key] = nil }
        members["model"] = .string("checkpoint:" + checkpointID)
        return .object(members)
    }

    /// The keys that stand only with `on: checkpoint`.
    static let keys = ["on", "every", "steps"]

    static func token(_ text: String) -> ReferenceText.Token? {
        // A text that is no reference was reported as one.
        guard let token = (try? ReferenceText(text))?.whole, token.path == output else { return nil }
        return token
    }

    static func isMeant(by token: ReferenceText.Token, _ kind: JobKind) -> Bool { kind == .train && token.path == output }
}

extension KindRules {
    func checkEveryCheckpoint() {
        guard body["on"] != nil else {
            for key in EveryCheckpoint.keys where body[key] != nil {
                check.fail(.conflict, JSONPointer([key]), "stands only with 'on: checkpoint'", atKey: true)
            }
            return
        }
        let path = JSONPointer(["model"])
        let why = "'on: checkpoint' needs 'model: ${job.checkpoint}' with the name of a training, for each of its checkpoints"
        if body["model"] == nil {
            check.fail(.conflict, JSONPointer(["on"]), why, atKey: true)
        } else if let text = body["model"]?.string, EveryCheckpoint.token(text) == nil {
            check.fail(.conflict, path, why)
        }
        if body["server"]?["url"] != nil {
            check.fail(
                .conflict, JSONPointer(["server", "url"]), "a server that runs already has no new checkpoint: give an 'engine'", atKey: true
            )
        }
        if body["if"] != nil {
            check.fail(.conflict, JSONPointer(["if"]), "cannot stand beside 'on: checkpoint'", atKey: true)
        }
    }
}

extension PlanBuilder {
    /// `${job.checkpoint}` means one checkpoint after the other, which only an evaluation of each can take.
    func checkEveryCheckpoint(_ token: ReferenceText.Token, _ draft: JobDraft, at path: JSONPointer) {
        if draft.kind == .evaluate, draft.body["on"] != nil, path == JSONPointer(["model"]) { return }
        draft.check.fail(
            .unknownReference, path,
            "'${\(token.raw)}' stands for each checkpoint, which only the model of an evaluation with 'on: checkpoint' can be; "
                + "write '${\(token.raw).best}' or '${\(token.raw).last}' for one of them")
    }

    /// The evaluations of single checkpoints come later and need their names.
    func checkNamesOfCheckpointEvaluations() {
        let templates = Set(drafts.filter { $0.kind == .evaluate && $0.body["on"] != nil }.map(\.name))
        guard !templates.isEmpty else { return }
        for draft in drafts {
            let parts = draft.name.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count > 2, parts[parts.count - 2] == "step", Int(parts[parts.count - 1]) != nil else { continue }
            let template = parts.dropLast(2).joined(separator: "-")
            guard templates.contains(template) else { continue }
            draft.check.fail(
                .conflict, JSONPointer(), "'\(draft.name)' is the name of an evaluation of one checkpoint that '\(template)' makes",
                atKey: true)
        }
    }
}
