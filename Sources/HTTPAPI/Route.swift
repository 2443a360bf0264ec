import Domain
import EventLoop
import HTTPServer
import Service

/// One operation of the API: how it is addressed, who may call it, and what answers it.
public struct Route: Sendable {
    /// What a caller's token must allow. What is not named here cannot be called, so each route names it.
    public enum Access: Int, Sendable, Comparable {
        /// Anybody: health, contract.
        case open
        /// Any valid token; of an attempt, where the operation is about its experiment.
        case read
        /// A token of scope `submit`, or that of an attempt for its own job.
        case log
        case submit
        case admin

        public static func < (one: Access, other: Access) -> Bool { one.rawValue < other.rawValue }

        /// The scope that a user's token must have.
        var scope: AccessScope? {
            switch self {
            case .open: nil
            case .read: .read
            case .log, .submit: .submit
            case .admin: .admin
            }
        }
    }

    /// How an operation keeps to what a caller may see.
    public enum Bound: Sendable, Equatable {
        /// It covers everything, so only those may call it who may see everything.
        case unlimited
        /// It tells nothing of any project.
        case shared
        /// Its handler leaves out what the caller may not see.
        case filtered
        /// Its first path parameter names what it is about.
        case subject(AccessSubject)

        static let experiment = subject(.experiment)
        static let job = subject(.job)
        static let run = subject(.run)
        static let checkpoint = subject(.checkpoint)
        static let evaluation = subject(.evaluation)
        static let dataset = subject(.dataset)
        static let changedDataset = subject(.changedDataset)
        static let project = subject(.project)
        static let artifact = subject(.artifact)

        /// Whether it has to do with experiments, and so may be an attempt's business.
        var isOfExperiments: Bool { self != .unlimited && self != .shared && self != .project }
    }

    enum Handler: Sendable {
        /// Answers through `Call.answer` at once or later, without a task; for hot and for streaming operations.
        case direct(@LoopActor @Sendable (Call) -> Void)
        /// Returns the answer; errors become problems.
        case task(@LoopActor @Sendable (Call) async throws -> Answer)
    }

    public let method: HTTPMethod
    /// The path as in the contract, such as `/v1/jobs/{job_id}`.
    public let path: String
    /// The `operationId` in the contract.
    public let operation: String
    public let access: Access
    public let bound: Bound
    /// Query parameters that name what must be within the caller's reach.
    let named: [String: AccessSubject]
    /// The query parameters that the operation knows; any other is refused.
    public let query: [String]
    /// Those of them that may stand more than once.
    let lists: Set<String>
    /// Whether others are let through, as clients of foreign protocols send them.
    let anyQuery: Bool
    let handler: Handler

    /// Whether it changes something, and so stands in the audit log.
    var isWrite: Bool { method != .get && access > .read }

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access, bound: Bound, named: [String: AccessSubject] = [:],
        query: [String] = [], lists: Set<String> = ["set", "key"], anyQuery: Bool = false,
        task: @escaping @LoopActor @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.bound = bound
        self.named = named
        self.query = query
        self.lists = lists
        self.anyQuery = anyQuery
        handler = .task(task)
    }

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access, bound: Bound, named: [String: AccessSubject] = [:],
        query: [String] = [], lists: Set<String> = ["set", "key"],
        direct: @escaping @LoopActor @Sendable (Call) -> Void
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.bound = bound
        self.named = named
        self.query = query
        self.lists = lists
        anyQuery = false
        handler = .direct(direct)
    }
}
