/// Why a request was refused (RFC 9457, `application/problem+json`).
public struct ProblemView: Codable, Sendable, Equatable {
    /// A URI for the kind of problem.
    public var type: String
    /// The kind of problem in words.
    public var title: String
    /// The HTTP status.
    public var status: Int
    /// What is wrong in this case.
    @Nullable public var detail: String?
    /// The path of the request.
    @Nullable public var instance: String?
    /// A word for clients to compare.
    public var code: String
    /// Stands in the daemon's log too.
    @Nullable public var requestID: String?
    /// Every fault of a document at once.
    public var errors: [ProblemError]

    enum CodingKeys: String, CodingKey {
        case type
        case title
        case status
        case detail
        case instance
        case code
        case requestID = "request_id"
        case errors
    }

    /// Makes one from its parts.
    public init(
        type: String, title: String, status: Int, detail: String? = nil, instance: String? = nil, code: String,
        requestID: String? = nil, errors: [ProblemError]
    ) {
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.instance = instance
        self.code = code
        self.requestID = requestID
        self.errors = errors
    }
}

/// One fault in a document.
public struct ProblemError: Codable, Sendable, Equatable {
    /// JSON pointer (RFC 6901); empty for the whole document.
    public var pointer: String
    /// What is wrong there.
    public var detail: String
    /// From 1; left out where unknown.
    public var line: Int?
    /// From 1.
    public var column: Int?

    enum CodingKeys: String, CodingKey {
        case pointer
        case detail
        case line
        case column
    }

    /// Makes one from its parts.
    public init(pointer: String, detail: String, line: Int? = nil, column: Int? = nil) {
        self.pointer = pointer
        self.detail = detail
        self.line = line
        self.column = column
    }
}
