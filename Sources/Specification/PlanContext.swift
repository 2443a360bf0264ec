/// What the check of a spec may ask of the world around it.
public struct PlanContext: Sendable {
    /// The folder that relative paths start from; `nil` where the submitter named none, which makes relative paths errors.
    public var baseDirectory: String?
    /// What stands at an absolute path; `nil` for nothing, or for what is neither a file nor a folder.
    public var pathExists: @Sendable (String) -> PathKind?
    /// Whether an artifact is registered: `name`, `name@version` or `ds_…` for a dataset, `checkpoint:<id>`, or `eval_…`.
    public var artifactExists: @Sendable (String) -> Bool
    /// The bytes of a file at an absolute path, one more than `SpecLimits.documentBytesMax` at most; `nil` where it cannot be read.
    public var readFile: @Sendable (String) -> [UInt8]?
    /// Why an absolute path may not be named at all, in words; `nil` where it may.
    public var refusal: @Sendable (String) -> String?
    /// What the installed trainer takes as `args` of a training method; `nil` where that is not known, and `args` are not checked.
    public var trainArguments: @Sendable (String) -> TrainArguments?
    /// The clusters that the daemon has beside its own machine; `nil` where that is not known, and names are not checked.
    public var clusters: [String]?

    /// Creates a context.
    public init(
        baseDirectory: String?, pathExists: @escaping @Sendable (String) -> PathKind?, artifactExists: @escaping @Sendable (String) -> Bool,
        readFile: @escaping @Sendable (String) -> [UInt8]? = { _ in nil }, refusal: @escaping @Sendable (String) -> String? = { _ in nil },
        trainArguments: @escaping @Sendable (String) -> TrainArguments? = { _ in nil }
    ) {
        self.baseDirectory = baseDirectory
        self.pathExists = pathExists
        self.artifactExists = artifactExists
        self.readFile = readFile
        self.refusal = refusal
        self.trainArguments = trainArguments
    }

    /// The absolute form of `path`, with `.` and `..` taken out of the text; `nil` for a relative one without a base folder.
    public func absolute(_ path: String) -> String? {
        if path.hasPrefix("/") { return Self.normalised(path) }
        return baseDirectory.map { Self.normalised($0 + "/" + path) }
    }

    private static func normalised(_ path: String) -> String {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            // Taken out of the text, as shells do it: a link before the `..` is not followed.
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return "/" + names.joined(separator: "/")
    }
}

/// What was asked of the world while one document is checked; each question is put once, so that all jobs see the same answer.
final class World {
    let context: PlanContext
    private var paths: [String: PathKind?] = [:]
    private var artifacts: [String: Bool] = [:]
    private var trainArguments: [String: TrainArguments?] = [:]

    init(_ context: PlanContext) { self.context = context }

    func kind(at path: String) -> PathKind? {
        if let known = paths[path] { return known }
        let kind = context.pathExists(path)
        paths[path] = .some(kind)
        return kind
    }

    func isRegistered(_ artifact: String) -> Bool {
        if let known = artifacts[artifact] { return known }
        let exists = context.artifactExists(artifact)
        artifacts[artifact] = exists
        return exists
    }

    func trainArguments(method: String) -> TrainArguments? {
        if let known = trainArguments[method] { return known }
        let arguments = context.trainArguments(method)
        trainArguments[method] = .some(arguments)
        return arguments
    }
}
