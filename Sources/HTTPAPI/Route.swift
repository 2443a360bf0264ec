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
    let handler: Handler

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access = .read, query: [String] = [],
        task: @escaping @LoopActor @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.query = query
        handler = .task(task)
    }

    init(
        _ method: HTTPMethod, _ path: String, _ operation: String, access: Access = .read, query: [String] = [],
        direct: @escaping @LoopActor @Sendable (Call) -> Void
    ) {
        self.method = method
        self.path = path
        self.operation = operation
        self.access = access
        self.query = query
        handler = .direct(direct)
    }
}
