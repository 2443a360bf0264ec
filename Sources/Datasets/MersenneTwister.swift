/// The MT19937 generator with the exact seeding and derived draws of CPython's `random` module.
///
/// Preparation steps use it so that an order made here equals the one that a Python script makes from the same seed.
public struct MersenneTwister: Sendable {
    private static let size = 624
    private static let shift = 397

    private var state: [UInt32]
    private var index = MersenneTwister.size

    /// The state after `random.seed(seed)`: the magnitude of `seed` in 32-bit words, least significant first.
    public init(seed: Int) { self.init(key: Self.words(of: seed)) }

    /// A stream that shares nothing with `init(seed:)` nor with another stream of the same seed.
    ///
    /// Two steps with equal seeds would otherwise draw the same permutation (the defect of the original split).
    public init(seed: Int, stream: UInt32) { self.init(key: Self.words(of: seed) + [0x616E_6E6C, stream]) }

    /// Seeds by `init_by_array` (Matsumoto and Nishimura, mt19937ar.c).
    public init(key: [UInt32]) {
        state = [UInt32](repeating: 0, count: Self.size)
        state[0] = 19_650_218
        for position in 1..<Self.size {
            state[position] = 1_812_433_253 &* (state[position - 1] ^ (state[position - 1] >> 30)) &+ UInt32(position)
        }
        var i = 1
        var j = 0
        for _ in 0..<max(Self.size, key.count) {
            state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) &* 1_664_525)) &+ key[j] &+ UInt32(j)
            i += 1
            j = j + 1 < key.count ? j + 1 : 0
            if i == Self.size { state[0] = state[Self.size - 1]; i = 1 }
        }
        for _ in 1..<Self.size {
            state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) &* 1_566_083_941)) &- UInt32(i)
            i += 1
            if i == Self.size { state[0] = state[Self.size - 1]; i = 1 }
        }
        state[0] = 0x8000_0000
    }

    private static func words(of seed: Int) -> [UInt32] {
        let magnitude = seed.magnitude
        let low = UInt32(truncatingIfNeeded: magnitude)
        let high = UInt32(truncatingIfNeeded: magnitude >> 32)
        return high == 0 ? [low] : [low, high]
    }

    /// The next 32 random bits.
    public mutating func next32() -> UInt32 {
        if index == Self.size { refill() }
        var word = state[index]
        index += 1
        word ^= word >> 11
        word ^= (word << 7) & 0x9D2C_5680
        word ^= (word << 15) & 0xEFC6_0000
        return word ^ (word >> 18)
    }

    private mutating func refill() {
        for position in 0..<Self.size {
            let mixed = (state[position] & 0x8000_0000) | (state[(position + 1) % Self.size] & 0x7FFF_FFFF)
            state[position] = state[(position + Self.shift) % Self.size] ^ (mixed >> 1) ^ (mixed & 1 == 0 ? 0 : 0x9908_B0DF)
        }
        index = 0
    }

    /// `random.getrandbits(count)` for 1 to 64 bits: words from the least significant on, the last one shifted down.
    public mutating func bits(_ count: Int) -> UInt64 {
        precondition((1...64).contains(count))
        if count <= 32 { return UInt64(next32() >> UInt32(32 - count)) }
        let low = UInt64(next32())
        return low | UInt64(next32() >> UInt32(64 - count)) << 32
    }

    /// A uniform number in `0..<bound`: draws of as many bits as `bound` has, until one is below it.
    public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0)
        let width = Int.bitWidth - bound.leadingZeroBitCount
        while true {
            let draw = bits(width)
            if draw < UInt64(bound) { return Int(draw) }
        }
    }

    /// `random.shuffle`.
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        guard elements.count > 1 else { return }
        for position in stride(from: elements.count - 1, through: 1, by: -1) {
            elements.swapAt(position, below(position + 1))
        }
    }

    /// `random.choice`; the collection must not be empty.
    public mutating func choice<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
