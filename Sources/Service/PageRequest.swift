import APITypes
import Store

/// Which part of a list is asked for.
public struct PageRequest: Sendable {
    public static let limitDefault = 50
    public static let limitMax = 500

    public var limit: Int
    /// The `next` of the page before; lists are ordered by id, newest first.
    public var after: String?

    public init(limit: Int = limitDefault, after: String? = nil) {
        self.limit = limit
        self.after = after
    }
}

extension APITypes.Page {
    /// The page of stored records as the API shows it.
    init<Item>(_ stored: StoredPage<Item>, id: (Item) -> String, render: (Item) -> Element) {
        self.init(data: stored.items.map(render), hasMore: stored.hasMore, next: stored.hasMore ? stored.items.last.map(id) : nil)
    }
}
