/// Lists of seeds as people write them in one text: `0,3`, or `0..4` with both ends in.
public enum SeedList {
    /// Seeds in one list.
    public static let countMax = 10_000

    /// `nil` where the text is no such list.
    public static func parse(_ text: String) -> [Int]? {
        let ends = text.split(separator: "..", omittingEmptySubsequences: false).map { Int($0) }
        if ends.count == 2 {
            guard let first = ends[0], let last = ends[1], first <= last, last - first < countMax else { return nil }
            return Array(first...last)
        }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0.filter { $0 != " " }) }
        return parts.count <= countMax && !parts.contains(nil) ? parts.compactMap(\.self) : nil
    }
}
