/// What a job does.
public enum JobKind: String, Sendable, CaseIterable, Hashable, Codable {
    case command, prepare, train, generate, evaluate, serve, convert, search

    /// The kinds this build can run.
    public static let supported: Set<JobKind> = [.command, .prepare, .train, .generate, .evaluate, .serve, .convert]
}
