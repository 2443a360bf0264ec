import JSON

/// What sort of artifact a place of a spec takes.
public enum ArtifactType: String, Sendable, Hashable {
    case dataset, checkpoint, evaluation, file
}

/// Where the model of a job comes from.
public enum ModelSource: Sendable, Hashable {
    /// A local folder in Hugging Face's format.
    case path(String)
    /// A registered checkpoint, written `checkpoint:<id>`.
    case checkpoint(id: String)
    /// An output of another job.
    case reference(ReferenceText.Token)

    /// Reads the value of a `model` key; `nil` where it contains a broken reference or mixes one with other text.
    public init?(_ text: String) {
        if ReferenceText.mightRefer(text) {
            // A broken reference is reported where the references of a whole job are read.
            guard let token = (try? ReferenceText(text))?.whole else { return nil }
            self = .reference(token)
        } else if text.hasPrefix("checkpoint:") {
            self = .checkpoint(id: String(text.dropFirst("checkpoint:".count)))
        } else {
            self = .path(text)
        }
    }
}

/// Where the data of a job come from.
public enum DatasetSource: Sendable, Hashable {
    /// A local file.
    case path(String)
    /// A registered dataset: `name`, `name@version` or an id `ds_…`.
    case registered(String)
    case reference(ReferenceText.Token)

    /// Reads the value of a `dataset` key. Text with a `/`, or that ends as a file of JSON does, is a path.
    public init?(_ text: String) {
        if ReferenceText.mightRefer(text) {
            // As in `ModelSource`.
            guard let token = (try? ReferenceText(text))?.whole else { return nil }
            self = .reference(token)
        } else if text.utf8.contains(UInt8(ascii: "/")) || text.hasSuffix(".jsonl") || text.hasSuffix(".json") {
            self = .path(text)
        } else {
            self = .registered(text)
        }
    }
}

/// Where the baseline of a comparison comes from.
public enum EvaluationSource: Sendable, Hashable {
    /// The `evaluation.json` of an earlier run.
    case path(String)
    /// A registered evaluation, `eval_…`.
    case registered(id: String)
    case reference(ReferenceText.Token)

    /// Reads the value of a `compare_to` key.
    public init?(_ text: String) {
        if ReferenceText.mightRefer(text) {
            // As in `ModelSource`.
            guard let token = (try? ReferenceText(text))?.whole else { return nil }
            self = .reference(token)
        } else if text.hasPrefix("eval_"), !text.utf8.contains(UInt8(ascii: "/")) {
            self = .registered(id: text)
        } else {
            self = .path(text)
        }
    }
}

/// A place of a job's spec that takes an artifact from outside the experiment.
public struct ExternalInput: Sendable, Hashable {
    /// Where the artifact is.
    public enum Source: Sendable, Hashable {
        /// An absolute local path.
        case path(String)
        /// A name or id in the registry; for a checkpoint without `checkpoint:`.
        case registered(String)
    }

    /// The place in the job's spec, such as `/dataset` or `/source/file/0`.
    public var pointer: JSONPointer
    public var type: ArtifactType
    public var source: Source
}

/// A use of another job's output.
public struct Reference: Sendable, Hashable {
    /// The place of the text in the job's spec, such as `/dataset` or `/command/2`.
    public var pointer: JSONPointer
    /// The name of the job whose output is used, after matrices are expanded.
    public var job: String
    /// The output, such as `train` or `checkpoint.best`.
    public var output: String
    /// What the place takes; `nil` where the reference is part of a text.
    public var expected: ArtifactType?

    /// The text between `${` and `}` in the job's spec.
    public var raw: String { job + "." + output }
}
