import JSON

/// How many GPUs a spec asks for: `2`, `"1-8"` or `0.5`.
struct GPUCount: Equatable {
    static let most = 1024

    var least: Int
    var most: Int
    /// Thousandths of one GPU; 0 where whole ones are asked for.
    var share = 0

    /// Reads the value of `gpus`; `nil` for anything else.
    init?(_ value: JSONValue) {
        switch value {
        case .int(let count):
            guard (0...Int64(Self.most)).contains(count) else { return nil }
            (least, most) = (Int(count), Int(count))
        case .double(let number):
            if number == number.rounded(), (0...Double(Self.most)).contains(number) {
                (least, most) = (Int(number), Int(number))
                return
            }
            let thousandths = (number * 1000).rounded()
            guard (1...999).contains(thousandths), abs(number * 1000 - thousandths) < 1e-6 else { return nil }
            (least, most, share) = (0, 0, Int(thousandths))
        case .string(let text):
            let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard ends.count == 2, let low = ends[0], let high = ends[1], (0...high).contains(low), (1...Self.most).contains(high),
                text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2D })
            else { return nil }
            (least, most) = (low, high)
        default: return nil
        }
    }
}
