import JSON

/// What a NeMo RL run is told by its attempt.
public struct NemoRLFacts: Sendable {
    /// GPUs that the attempt holds.
    public var gpus: Int
    /// What the micro-batch is divided by after memory ran out.
    public var microBatchDivisor: Int
    /// Where checkpoints `step_N` are kept; the same for all attempts, from which NeMo RL resumes by itself.
    public var checkpointDirectory: String
    /// Where NeMo RL makes its folders `exp_NNN`.
    public var logDirectory: String
    public var outputDirectory: String
    /// `DD:HH:MM:SS` from the start after which NeMo RL saves and ends; `nil` for a job without a time limit.
    public var saveBy: String?
    /// The keys of the training data's first record.
    public var datasetKeys: Set<String>

    public init(
        gpus: Int, microBatchDivisor: Int = 1, checkpointDirectory: String, logDirectory: String, outputDirectory: String,
        saveBy: String? = nil, datasetKeys: Set<String> = []
    ) {
        (self.gpus, self.microBatchDivisor, self.saveBy, self.datasetKeys) = (gpus, microBatchDivisor, saveBy, datasetKeys)
        (self.checkpointDirectory, self.logDirectory) = (checkpointDirectory, logDirectory)
        self.outputDirectory = outputDirectory
    }
}

/// A run of one of NeMo RL's programs, as a train job with `engine: nemo-rl` describes it: its configuration, its command line, and what
/// is wrong with either. Pure but for the files that it reads through a closure.
public struct NemoRLRun: Sendable {
    public let algorithm: NemoRLAlgorithm
    public let layout: NemoRLLayout
    /// The folder of the NeMo RL checkout.
    public let root: String
    /// What is wrong, in the order in which it was found.
    public internal(set) var problems: [NemoRLProblem] = []
    /// The configuration as the program will have it, references not yet resolved.
    public internal(set) var config = NemoRLConfig()
    /// The file that the run's own configuration builds on.
    let basis: String
    let overlay: JSONValue
    let overrides: [String]
    /// The program, from the checkout's root on.
    let script: String
    private let launcher: [String]
    /// True where a checkpoint becomes a model in Hugging Face's format at the end.
    let exports: Bool

    /// - Parameters:
    ///   - spec: the body of the job, with paths made absolute.
    ///   - toleratesAbsence: passes over a configuration or a checkout that is not on this machine.
    /// - Returns: `nil` where `method` or `root` is missing or wrong, which the schema reports.
    public init?(spec: JSONObject, facts: NemoRLFacts, toleratesAbsence: Bool = false, read: @escaping (String) -> [UInt8]?) {
        guard let algorithm = spec["method"]?.string.flatMap(NemoRLAlgorithm.init(method:)), let root = spec["root"]?.string else {
            return nil
        }
        (self.algorithm, self.root) = (algorithm, root)
        exports = algorithm.trains && spec["export"]?.string != "none"
        launcher = spec["launcher"]?.array?.compactMap(\.string) ?? Self.defaultLauncher
        overrides = (spec["overrides"]?.array ?? []).compactMap(\.string)
        let example = root + "/" + algorithm.defaultConfig
        var found: [NemoRLProblem] = []
        var reader = NemoRLConfigReader(pointer: JSONPointer(["root"]), read: read)
        var checkout: NemoRLConfig?
        if read(example) != nil {
            do throws(NemoRLProblem) { checkout = try reader.load(example) } catch { found.append(error) }
        } else if !toleratesAbsence {
            let detail = "there is no \(algorithm.defaultConfig) in '\(root)': it is no checkout of NeMo RL that has this method"
            found.append(NemoRLProblem(code: .missingFile, pointer: JSONPointer(["root"]), detail: detail))
        }
        let detected = checkout.flatMap { algorithm.trains ? NemoRLLayout(config: .object($0.value)) : nil }
        layout = spec["version"]?.string.flatMap(NemoRLLayout.init(version:)) ?? detected ?? .new
        script = Self.script(of: algorithm, layout, root, read)
        basis = spec["config"]?.string ?? example
        var base = checkout ?? NemoRLConfig()
        var isRead = checkout != nil
        if let own = spec["config"]?.string {
            (base, isRead) = (NemoRLConfig(), false)
            var reader = NemoRLConfigReader(pointer: JSONPointer(["config"]), read: read)
            if read(own) != nil || !toleratesAbsence {
                do throws(NemoRLProblem) { (base, isRead) = (try reader.load(own), true) } catch { found.append(error) }
            }
        }
        overlay = NemoRLMapping(spec: spec, algorithm: algorithm, layout: layout, facts: facts, base: base).overlay
        problems = found
        config = base
        check(against: checkout, isRead: isRead, isOwn: spec["config"] != nil)
    }

    static let defaultLauncher = ["uv", "run", "python"]

    /// Older checkouts have the program under an older name.
    private static func script(of algorithm: NemoRLAlgorithm, _ layout: NemoRLLayout, _ root: String, _ read: (String) -> [UInt8]?)
        -> String
    {
        let names = algorithm.scripts
        let present = names.first { read("\(root)/\($0)") != nil }
        return present ?? (layout == .new ? names.first : names.last) ?? ""
    }

    // MARK: What the attempt starts

    /// The run's own configuration file: what Anneal sets, on top of the checkout's or the user's configuration.
    public var configText: String {
        var document: JSONObject = ["defaults": .string(basis)]
        for (key, value) in overlay.object ?? [:] { document[key] = value }
        return "# Written by Anneal for one attempt. What is not here comes from the file under 'defaults'.\n"
            + YAMLText.text(of: document)
    }

    /// The command line, to be run in `root`.
    ///
    /// - Parameter config: the path of the file that holds `configText`.
    public func arguments(config: String) -> [String] { launcher + [script, "--config", config] + overrides }

    /// The metric that ranks the checkpoints, `nil` for the newest, and whether a high one is good.
    public var ranking: (metric: String?, higherIsBetter: Bool) {
        let reader = NemoRLInterpolation(config: config)
        let metric = reader.resolved(["checkpointing", "metric_name"])?.string
        return (metric, reader.resolved(["checkpointing", "higher_is_better"])?.bool ?? false)
    }

    /// What turns its checkpoints into models in Hugging Face's format.
    public var export: NemoRLExport { NemoRLExport(root: root, launcher: launcher) }

    // MARK: Time limits

    /// The shortest and the longest time that is kept for the start of Ray and the model, and for the last checkpoint.
    static let marginRange: ClosedRange<Double> = 120...1800

    /// When a run must save so that it ends before its time limit, as `DD:HH:MM:SS` since its start.
    ///
    /// - Parameter margin: what is kept free before the limit; `nil` keeps a tenth of it, within `marginRange`, and at most half.
    /// - Returns: `nil` where the margin leaves no second.
    public static func saveBy(limit: Duration, margin: Duration? = nil) -> String? {
        let seconds = limit.inSeconds
        let usual = min(max(seconds / 10, marginRange.lowerBound), marginRange.upperBound, seconds / 2)
        let left = Int((seconds - (margin?.inSeconds ?? usual)).rounded(.down))
        guard left > 0 else { return nil }
        let parts = [left / 86_400, left / 3600 % 24, left / 60 % 60, left % 60]
        return parts.map { $0 < 10 ? "0\($0)" : String($0) }.joined(separator: ":")
    }
}
