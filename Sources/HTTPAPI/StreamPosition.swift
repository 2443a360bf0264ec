/// How far a client of the stream is, as the identifiers of events tell: what it sends back as `Last-Event-ID` or `after`.
///
/// A stream that begins at the beginning first tells the curves as they are at a number of the sequence, then the other events up to that
/// number, then everything. Of one that breaks off in between, the identifier says where.
enum StreamPosition: Sendable, Equatable {
    /// Everything up to this number was told: `1234`.
    case events(Int64)
    /// Of the curves as of `snapshot` so many points were told: `1234:500`.
    case history(snapshot: Int64, points: Int)
    /// The curves as of `snapshot` were told, and other events up to this: `1234.56`.
    case catchingUp(snapshot: Int64, events: Int64)

    init?(_ text: String) {
        guard (1...40).contains(text.utf8.count) else { return nil }
        let parts = text.utf8.split(whereSeparator: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
        let numbers = parts.compactMap { part in
            part.count <= 18 && part.allSatisfy { (48...57).contains($0) } ? Int64(String(decoding: part, as: UTF8.self)) : nil
        }
        guard numbers.count == parts.count else { return nil }
        switch (numbers.count, text.utf8.count - parts.reduce(0) { $0 + $1.count }) {
        case (1, 0): self = .events(numbers[0])
        case (2, 1) where text.contains(":"): self = .history(snapshot: numbers[0], points: Int(numbers[1]))
        case (2, 1): self = .catchingUp(snapshot: numbers[0], events: numbers[1])
        default: return nil
        }
    }

    /// The identifier of the last event that was told.
    var identifier: String {
        switch self {
        case .events(let number): String(number)
        case .history(let snapshot, let points): "\(snapshot):\(points)"
        case .catchingUp(let snapshot, let events): "\(snapshot).\(events)"
        }
    }

    /// The number up to which events were told.
    var events: Int64 {
        switch self {
        case .events(let number): number
        case .history: 0
        case .catchingUp(_, let events): events
        }
    }

    /// After an event was told.
    func moved(to number: Int64) -> StreamPosition {
        switch self {
        case .catchingUp(let snapshot, _) where number < snapshot: .catchingUp(snapshot: snapshot, events: number)
        default: .events(number)
        }
    }
}
