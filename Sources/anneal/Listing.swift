import APITypes
import JSON

extension APIClient {
    /// The entries of a list, page by page, and the JSON that stands for them: the one page as it came, or all joined.
    func list<Element>(
        _ type: Element.Type, _ path: [String], query: [(String, String)] = [], options: ListOptions
    ) throws -> Answer<[Element]> where Element: Codable & Sendable & Equatable {
        let pageMax = 200
        let first = try get(
            Page<Element>.self, path, query: query + [("limit", String(options.all ? pageMax : min(options.limit, pageMax)))])
        var elements = first.view.data
        var next = first.view.hasMore ? first.view.next : nil
        guard next != nil, options.all || options.limit > elements.count else { return Answer(view: elements, body: first.body) }
        while let after = next, options.all || elements.count < options.limit {
            let wanted = options.all ? pageMax : min(options.limit - elements.count, pageMax)
            let page = try get(Page<Element>.self, path, query: query + [("limit", String(wanted)), ("after", after)]).view
            elements += page.data
            next = page.hasMore ? page.next : nil
        }
        let joined = try JSONValue(encoding: Page(data: elements, hasMore: next != nil, next: next))
        return Answer(view: elements, body: JSONWriter().bytes(of: joined))
    }
}
