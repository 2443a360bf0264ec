import JSON

/// A training program of NeMo RL that Anneal drives, named as its default configuration is.
public enum NemoRLAlgorithm: String, Sendable, CaseIterable, Hashable {
    case sft, dpo, rm, grpo, distillation, eval

    /// The algorithm behind the `method` of a spec; `nil` for one that NeMo RL does not have.
    public init?(method: String) {
        guard let found = Self.allCases.first(where: { $0.method == method }) else { return nil }
        self = found
    }

    /// What a spec calls it.
    public var method: String {
        switch self {
        case .rm: "reward"
        case .distillation: "distill"
        default: rawValue
        }
    }

    /// The section of the configuration that holds the algorithm's own settings.
    var section: String { rawValue }

    /// The configuration that the program takes without `--config`, from the checkout's root on.
    public var defaultConfig: String {
        switch self {
        case .grpo: "examples/configs/grpo_math_1B.yaml"
        case .distillation: "examples/configs/distillation_math.yaml"
        case .eval: "examples/configs/evals/eval.yaml"
        default: "examples/configs/\(rawValue).yaml"
        }
    }

    /// The programs that run it, the one of newer releases first.
    var scripts: [String] {
        switch self {
        case .grpo: ["examples/run_grpo.py", "examples/run_grpo_math.py"]
        case .distillation: ["examples/run_distillation.py", "examples/run_distillation_math.py"]
        default: ["examples/run_\(rawValue).py"]
        }
    }

    /// True where the data are pairs of a better and a worse answer.
    var takesPairs: Bool { self == .dpo || self == .rm }

    /// True where a model is trained, so that there are checkpoints and curves.
    public var trains: Bool { self != .eval }
}

/// How the `data` section names its files: the layout changed for responses with commit 967d2c856 (2026-01-22) and for preference pairs
/// with 174fa2011 (2026-02-04). Release 0.5 has the old one, release 0.6 the new one.
public enum NemoRLLayout: String, Sendable, Hashable {
    /// One flat mapping: `data.dataset_name`, `data.train_data_path`, `data.val_data_path`.
    case old
    /// Blocks `data.train`, `data.validation` and `data.default`, each with a dataset of its own.
    case new

    /// The layout of a release such as `0.5`, `v0.6.0` or `0.7.0rc1`; `nil` where the text is no release.
    public init?(version: String) {
        let text = version.hasPrefix("v") ? version.dropFirst() : version[...]
        let numbers = text.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self = (major, minor) >= (0, 6) ? .new : .old
    }

    /// The layout that a configuration of the checkout is written in; `nil` where it has no data.
    init?(config: JSONValue) {
        guard let data = config["data"]?.object else { return nil }
        self = data["train"] != nil ? .new : .old
    }
}
