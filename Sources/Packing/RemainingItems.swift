/// Items sorted by descending length of which some are taken out, and the question for the first one that is short enough.
///
/// What is left is a linked list; a search that lands on an item that is gone follows a chain of them, which each search shortens
/// (disjoint sets with path halving), so that a search takes logarithmic time and little more.
struct RemainingItems {
    private let items: [PackingItem]
    /// For an item that is gone, one nearer to the next that is left; for one that is left, itself. The end counts as left.
    private var jump: [Int]
    private var previous: [Int]
    private var next: [Int]
    private(set) var count: Int

    /// `items` must be sorted by descending length.
    init(_ items: [PackingItem]) {
        self.items = items
        count = items.count
        jump = Array(0...items.count)
        previous = Array(-1..<items.count)
        next = Array(1..<items.count + 2)
    }

    var isEmpty: Bool { count == 0 }

    /// The shortest item that is left; must not be asked for where none is.
    var shortest: PackingItem { items[previous[items.count]] }

    /// The shortest but one; must not be asked for where fewer than two are left.
    var secondShortest: PackingItem { items[previous[previous[items.count]]] }

    /// Those that are left, in their order.
    var left: [PackingItem] { items.indices.filter { jump[$0] == $0 }.map { items[$0] } }

    /// Takes out the first item that is not longer than `length`.
    mutating func takeFirst(notLongerThan length: Int) -> PackingItem? {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].length <= length { high = middle } else { low = middle + 1 }
        }
        let position = find(low)
        return position < items.count ? take(position) : nil
    }

    /// Takes out the shortest item; must not be called where none is left.
    mutating func takeShortest() -> PackingItem { take(previous[items.count]) }

    private mutating func find(_ start: Int) -> Int {
        var position = start
        while jump[position] != position {
            jump[position] = jump[jump[position]]
            position = jump[position]
        }
        return position
    }

    private mutating func take(_ position: Int) -> PackingItem {
        let before = previous[position]
        let after = next[position]
        if before >= 0 { next[before] = after }
        previous[after] = before
        jump[position] = after
        count -= 1
        return items[position]
    }
}
