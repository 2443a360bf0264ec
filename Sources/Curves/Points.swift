/// Points of one series as columns of equal length, sorted by step, then by time.
public struct Points: Sendable, Equatable {
    /// Optimizer steps, or units done.
    public var steps: [Int64] = []
    /// Milliseconds since 1970.
    public var times: [Int64] = []
    /// May be NaN or infinite.
    public var values: [Double] = []

    /// No points.
    public init() {}

    /// Columns of equal length.
    public init(steps: [Int64], times: [Int64], values: [Double]) {
        precondition(steps.count == times.count && steps.count == values.count)
        self.steps = steps
        self.times = times
        self.values = values
    }

    public var count: Int { steps.count }
    public var isEmpty: Bool { steps.isEmpty }

    /// Where a point stands among the others of its series.
    public struct Place: Sendable, Hashable, Comparable {
        public var step: Int64
        /// Milliseconds since 1970.
        public var time: Int64

        public init(step: Int64, time: Int64) {
            self.step = step
            self.time = time
        }

        public static func < (left: Place, right: Place) -> Bool { (left.step, left.time) < (right.step, right.time) }
    }

    /// Where a point stands.
    public func place(_ index: Int) -> Place { Place(step: steps[index], time: times[index]) }

    /// Adds a point, which must come after the last.
    public mutating func append(_ place: Place, _ value: Double) {
        steps.append(place.step)
        times.append(place.time)
        values.append(value)
    }

    /// Adds points, which must come after the last.
    public mutating func append(_ other: Points) {
        steps += other.steps
        times += other.times
        values += other.values
    }

    /// Makes room for so many points in all.
    public mutating func reserve(_ count: Int) {
        steps.reserveCapacity(count)
        times.reserveCapacity(count)
        values.reserveCapacity(count)
    }

    /// Puts a point before the one at `index`.
    public mutating func insert(_ place: Place, _ value: Double, at index: Int) {
        steps.insert(place.step, at: index)
        times.insert(place.time, at: index)
        values.insert(value, at: index)
    }

    /// A stretch of the points.
    public subscript(range: Range<Int>) -> Points {
        Points(steps: Array(steps[range]), times: Array(times[range]), values: Array(values[range]))
    }

    /// The index of the first point that stands at `place` or after it.
    public func index(notBefore place: Place) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self.place(middle) < place { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether a point stands at `place`.
    public func contains(_ place: Place) -> Bool {
        let index = index(notBefore: place)
        return index < count && self.place(index) == place
    }

    /// Both together, in order; of two points at one place the first one's stays.
    public func merged(with other: Points) -> Points {
        guard let first = other.steps.first, !isEmpty else { return isEmpty ? other : self }
        if place(count - 1) < Place(step: first, time: other.times[0]) {
            var joined = self
            joined.append(other)
            return joined
        }
        var joined = Points()
        joined.reserve(count + other.count)
        var (here, there) = (0, 0)
        while here < count || there < other.count {
            if there == other.count || (here < count && place(here) <= other.place(there)) {
                if there < other.count, place(here) == other.place(there) { there += 1 }
                joined.append(place(here), values[here])
                here += 1
            } else {
                joined.append(other.place(there), other.values[there])
                there += 1
            }
        }
        return joined
    }
}
