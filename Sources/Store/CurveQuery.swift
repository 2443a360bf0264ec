import Curves

/// Which part of a job's curve is asked for, and how much of it.
public struct CurveQuery: Sendable, Hashable {
    /// What a curve runs along.
    public enum Axis: String, Sendable, CaseIterable {
        /// Each step once; of points at one step the later stays.
        case step
        /// Every point, in the order of its time.
        case time
    }

    public var key: String
    /// The number of an attempt to look at alone; `nil` for the joined curve.
    public var attempt: Int?
    /// `nil` for the best that each attempt has.
    public var source: MetricSource?
    public var axis: Axis
    /// Steps, or milliseconds since 1970.
    public var range: ClosedRange<Int64>?
    /// Only so many from the end.
    public var last: Int?
    /// At most so many, the least and greatest of each stretch among them; `nil` for all.
    public var points: Int?

    /// All of the joined curve, unless told otherwise.
    public init(
        key: String, attempt: Int? = nil, source: MetricSource? = nil, axis: Axis = .step, range: ClosedRange<Int64>? = nil,
        last: Int? = nil,
        points: Int? = nil
    ) {
        self.key = key
        self.attempt = attempt
        self.source = source
        self.axis = axis
        self.range = range
        self.last = last
        self.points = points
    }
}

/// Points of a job's curve, which may span attempts.
public struct Curve: Sendable, Equatable {
    public var points = Points()
    /// The number of the attempt that wrote each point.
    public var attempts: [Int] = []
    /// Of the newest attempt that has any.
    public var source: MetricSource = .native

    init() {}

    public var isEmpty: Bool { points.isEmpty }
    public var count: Int { points.count }

    mutating func append(_ more: Points, attempt: Int) {
        points.append(more)
        attempts.append(contentsOf: repeatElement(attempt, count: more.count))
    }

    subscript(indices: [Int]) -> Curve {
        var part = Curve()
        part.source = source
        part.points.reserve(indices.count)
        for index in indices {
            part.points.append(points.place(index), points.values[index])
            part.attempts.append(attempts[index])
        }
        return part
    }

    /// Puts a later attempt's points to those of earlier ones, in the order of steps; of points at one step the later one stays.
    func joined(with later: Points, attempt: Int) -> Curve {
        var joined = Curve()
        joined.points.reserve(count + later.count)
        joined.attempts.reserveCapacity(count + later.count)
        func append(_ place: Points.Place, _ value: Double, _ attempt: Int) {
            if joined.points.steps.last == place.step {
                let last = joined.count - 1
                joined.points.times[last] = place.time
                joined.points.values[last] = value
                joined.attempts[last] = attempt
            } else {
                joined.points.append(place, value)
                joined.attempts.append(attempt)
            }
        }
        var (here, there) = (0, 0)
        while here < count || there < later.count {
            if there == later.count || (here < count && points.steps[here] <= later.steps[there]) {
                append(points.place(here), points.values[here], attempts[here])
                here += 1
            } else {
                append(later.place(there), later.values[there], attempt)
                there += 1
            }
        }
        return joined
    }

    /// In the order of time, which clocks that jump can make another than that of steps.
    func sortedByTime() -> Curve {
        let times = points.times
        guard zip(times, times.dropFirst()).contains(where: { $0 > $1 }) else { return self }
        return self[times.indices.sorted { (times[$0], $0) < (times[$1], $1) }]
    }
}
