import Domain
import JSON

/// The checkpoints of a training that a convert job averages: `average: {checkpoints: "${job.checkpoints}", last: 3}`, or `best: 3`.
///
/// Which they are is known once the training has ended. Its trainer keeps so many, whatever its own retention says.
public struct CheckpointSelection: Sendable, Hashable {
    /// By what the checkpoints are chosen.
    public enum Order: String, Sendable, CaseIterable {
        case last, best
    }

    /// The output of a training that stands for all its checkpoints.
    static let output = "checkpoints"
    /// The place in the spec of the job that averages.
    public static let pointer = JSONPointer(["average", "checkpoints"])

    /// The name of the training.
    public var training: String
    public var order: Order
    /// How many.
    public var count: Int

    /// What the body of a job of a plan asks for; `nil` for any other job.
    public init?(spec: JSONValue) {
        guard spec["kind"]?.string == JobKind.convert.rawValue, let average = spec["average"],
            let token = average["checkpoints"]?.string.flatMap(Self.token),
            let order = Order.allCases.first(where: { average[$0.rawValue] != nil }), let count = average[order.rawValue]?.int
        else { return nil }
        (training, self.order, self.count) = (token.name, order, count)
    }

    static func token(_ text: String) -> ReferenceText.Token? {
        // A text that is no reference was reported as one.
        guard let token = (try? ReferenceText(text))?.whole, token.path == output else { return nil }
        return token
    }

    static func isMeant(by token: ReferenceText.Token, _ kind: JobKind) -> Bool { kind == .train && token.path == output }
}

extension PlanBuilder {
    /// `${job.checkpoints}` means several models, which only an average can take.
    func checkSelection(_ token: ReferenceText.Token, of training: JobDraft, _ draft: JobDraft, at path: JSONPointer) {
        guard draft.kind == .convert, path.tokens.starts(with: CheckpointSelection.pointer.tokens) else {
            return draft.check.fail(
                .unknownReference, path,
                "'${\(token.raw)}' stands for several checkpoints, which only 'average.checkpoints' of a convert job can be; "
                    + "write '${\(token.name).checkpoint.best}' or '${\(token.name).checkpoint.last}' for one of them")
        }
        if training.body["checkpoint"]?["every"]?.int == nil {
            draft.check.fail(
                .conflict, path, "'\(token.name)' saves its last step alone; give it 'checkpoint: {every: …}', so that there are several")
        }
    }
}
