/// What retention would let go of, or let go of: the answer of `/v1/gc`.
public struct GarbageView: Codable, Sendable, Equatable {
    /// Whether it is gone; false for a plan.
    public var removed: Bool
    /// How much there is in all.
    public var count: Int
    public var bytes: Int64
    /// Sums by kind.
    public var kinds: [GarbageKind]
    /// The first of them, the largest first.
    public var items: [GarbageItem]
    /// What could not be removed, and why.
    public var failures: [String]
    /// The file that lists everything that was ever removed, one JSON object a line.
    public var audit: String

    /// Makes one from its parts.
    public init(removed: Bool, count: Int, bytes: Int64, kinds: [GarbageKind], items: [GarbageItem], failures: [String], audit: String) {
        self.removed = removed
        self.count = count
        self.bytes = bytes
        self.kinds = kinds
        self.items = items
        self.failures = failures
        self.audit = audit
    }
}

/// How much there is of one kind.
public struct GarbageKind: Codable, Sendable, Equatable {
    /// `attempt_log`, `checkpoint`, `content`, `upload`, `folder`, `upgrade_copy` or `answers`.
    public var kind: String
    public var count: Int
    public var bytes: Int64

    /// Makes one from its parts.
    public init(kind: String, count: Int, bytes: Int64) {
        self.kind = kind
        self.count = count
        self.bytes = bytes
    }
}

/// One thing that nobody needs.
public struct GarbageItem: Codable, Sendable, Equatable {
    public var kind: String
    /// Of its row, where it has one.
    @Nullable public var id: String?
    public var path: String
    public var bytes: Int64
    /// Why it may go.
    public var reason: String

    /// Makes one from its parts.
    public init(kind: String, id: String? = nil, path: String, bytes: Int64, reason: String) {
        self.kind = kind
        self.id = id
        self.path = path
        self.bytes = bytes
        self.reason = reason
    }
}
