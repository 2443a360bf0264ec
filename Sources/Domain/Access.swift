/// What a token allows; each scope includes those before it.
public enum AccessScope: String, Sendable, CaseIterable, Comparable {
    /// To look.
    case read
    /// To submit experiments and data, and to control them.
    case submit
    /// To change what all share: GPUs, projects, webhooks, tokens.
    case admin

    private var rank: Int {
        switch self {
        case .read: 0
        case .submit: 1
        case .admin: 2
        }
    }

    public static func < (one: AccessScope, other: AccessScope) -> Bool { one.rank < other.rank }
}

/// Whose experiments somebody may see and touch.
public enum Reach: Sendable, Hashable {
    case everything
    /// Those of some projects.
    case projects(Set<String>)
    /// A single one, as for the worker of one of its jobs.
    case experiment(String)

    /// Whether an experiment of a project is within.
    public func covers(experiment: String?, project: String?) -> Bool {
        switch self {
        case .everything: true
        case .projects(let names): project.map(names.contains) ?? false
        case .experiment(let id): experiment == id
        }
    }
}
