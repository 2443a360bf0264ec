import JSON

/// NeMo RL's own converters, which turn its checkpoints into models in Hugging Face's format.
public struct NemoRLExport: Sendable {
    /// How a checkpoint holds its weights, and with it which of NeMo RL's converters reads them.
    public enum WeightsForm: Sendable, Hashable {
        /// PyTorch's distributed format, of both DTensor backends.
        case distributed
        /// Megatron's, in a folder of this name.
        case megatron(iteration: String)
    }

    /// The converter of distributed weights, from the checkout's root on.
    static let script = "examples/converters/convert_dcp_to_hf.py"
    private static let megatronScript = "examples/converters/convert_megatron_to_hf.py"

    /// The folder of the NeMo RL checkout.
    public let root: String
    private let launcher: [String]

    init(root: String, launcher: [String]) { (self.root, self.launcher) = (root, launcher) }

    /// - Parameter spec: the body of a convert job with this engine, with paths made absolute.
    /// - Returns: `nil` where `root` is missing, which the schema reports.
    public init?(spec: JSONObject) {
        guard let root = spec["root"]?.string else { return nil }
        self.init(root: root, launcher: spec["launcher"]?.array?.compactMap(\.string) ?? NemoRLRun.defaultLauncher)
    }

    /// The command line, to be run in `root`.
    ///
    /// - Parameters:
    ///   - checkpoint: a folder `step_N`.
    ///   - target: the folder to write, which does not exist yet.
    public func arguments(checkpoint: String, form: WeightsForm = .distributed, to target: String) -> [String] {
        let weights = checkpoint + "/policy/weights"
        let common = ["--config", checkpoint + "/config.yaml"]
        switch form {
        case .distributed:
            return launcher + [Self.script] + common + ["--dcp-ckpt-path", weights, "--hf-ckpt-path", target]
        case .megatron(let iteration):
            // uv installs Megatron for this one alone.
            let start = launcher.prefix(2) == ["uv", "run"] ? ["uv", "run", "--extra", "mcore"] + launcher.dropFirst(2) : launcher
            return start + [Self.megatronScript] + common + ["--megatron-ckpt-path", "\(weights)/\(iteration)", "--hf-ckpt-path", target]
        }
    }
}
