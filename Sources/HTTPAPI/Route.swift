import EventLoop
import HTTPServer
import Service

/// One operation of the API: how it is addressed and what answers it.
public struct Route: Sendable {
    /// Who may call an operation where tokens are required.
    public enum Access: Sendable {
        /// Anybody: health, contract.
        case open
        /// Any valid token, that of an attempt included.
        case read
        /// A user's token; an attempt's token is refused.
        case write
        /// Any valid token; what an attempt's may do is for the handler to check.
        case attempt
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
    /// The query parameters that the operation knows; any other is refused.
    public let query: [String]
    /// Those of them that may stand more than once.
    let lists: Set<String>
    /// Whether others are let through, as clients of foreign protocols send them.
    let anyQuery: Bool
    let handler: Handler

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access = .read, query: [String] = [],
        lists: Set<String> = ["set", "key"], anyQuery: Bool = false,
        task: @escaping @LoopActor @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.query = query
        self.lists = lists
        self.anyQuery = anyQuery
        handler = .task(task)
    }

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access = .read, query: [String] = [],
        lists: Set<String> = ["set", "key"],
        direct: @escaping @LoopActor @Sendable (Call) -> Void
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.query = query
        self.lists = lists
        anyQuery = false
        handler = .direct(direct)
    }
}
