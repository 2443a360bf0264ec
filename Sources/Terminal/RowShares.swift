/// How the rows of a screen are divided among parts that want different numbers of them.
public enum RowShares {
    /// Gives each part a row in turn until it has what it wants or the room is used up, so that small parts are whole and large
    /// ones share what is left.
    public static func divide(_ room: Int, wanted: [Int]) -> [Int] {
        var shares = [Int](repeating: 0, count: wanted.count)
        var left = room
        while left > 0 {
            let before = left
            for part in wanted.indices where left > 0 && shares[part] < wanted[part] {
                shares[part] += 1
                left -= 1
            }
            if left == before { break }
        }
        return shares
    }

    /// The first of `count` rows to show where only `height` fit, so that `selected` is among them and as near the middle as may be.
    public static func windowStart(count: Int, height: Int, selected: Int?) -> Int {
        guard let selected, count > height else { return 0 }
        return min(max(0, selected - height / 2), count - height)
    }
}
