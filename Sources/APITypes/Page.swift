/// One page of a list, newest first where the list does not say otherwise.
public struct Page<Element: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    public var data: [Element]
    /// True where a further page follows.
    public var hasMore: Bool
    /// What to give as `after` to get it.
    @Nullable public var next: String?

    enum CodingKeys: String, CodingKey {
        case data
        case hasMore = "has_more"
        case next
    }

    public init(data: [Element], hasMore: Bool = false, next: String? = nil) {
        self.data = data
        self.hasMore = hasMore
        self.next = next
    }
}
