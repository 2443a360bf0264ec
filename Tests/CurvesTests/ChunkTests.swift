import Testing

@testable import Curves

struct ChunkTests {
    @Test(arguments: 0..<60) func everyPointComesBackExactly(seed: UInt64) throws {
        var random = Seeded(seed)
        let points = Points.random(&random, count: [1, 2, 255, 256, 257, 4096, 5000][Int(seed) % 7], style: Int(seed) % 6)
        var back = Points()
        let bytes = Chunk.encode(points)
        try bytes.withUnsafeBytes { try Chunk.decode($0, into: &back) }
        #expect(back.steps == points.steps)
        #expect(back.times == points.times)
        #expect(back.values.map(\.canonicalBits) == points.values.map(\.canonicalBits))
        let summaries = Chunk.summaries(points)
        let read = try BlockSummary.encode(summaries).withUnsafeBytes { try BlockSummary.decode($0) }
        #expect(read.count == summaries.count)
        #expect(zip(read, summaries).allSatisfy { $0.count == $1.count && $0.marks.map(\.place) == $1.marks.map(\.place) })
    }

    @Test(arguments: 0..<40) func damagedBytesAreRefusedAndNeverCrash(seed: UInt64) {
        var random = Seeded(seed)
        var bytes = Chunk.encode(.random(&random, count: 600, style: Int(seed) % 6))
        for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
        if seed % 2 == 0 { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
        var points = Points()
        // Either it reads to something or it throws; both are fine, a trap is not.
        _ = try? bytes.withUnsafeBytes { try Chunk.decode($0, into: &points) }
    }

    @Test func aLossRoundedByATrainerTakesLittle() {
        var random = Seeded(1)
        let points = Points.random(&random, count: 4096, style: 0)
        #expect(Chunk.encode(points).count < 4096 * 3)
    }

    @Test func regularStepsTakeNoRoom() {
        var writer = ByteWriter()
        IntegerBlock.encode((0..<256).map { Int64($0) * 10 }, into: &writer)
        #expect(writer.bytes.count < 8)
    }

    @Test func whatIsKeptHoldsTheExtremes() {
        var values = (0..<10_000).map { Double($0 % 7) }
        values[1234] = 99
        values[4321] = -99
        values[7777] = .nan
        let kept = Points.kept(values, count: 100) ?? []
        #expect(kept.count <= 100)
        #expect(kept.contains(1234) && kept.contains(4321) && kept.contains(7777) && kept.first == 0 && kept.last == 9_999)
    }

    @Test func mergingKeepsOrderAndTheFirstOfTwo() {
        let one = Points(steps: [1, 3, 5], times: [1, 1, 1], values: [1, 3, 5])
        let two = Points(steps: [2, 3, 6], times: [1, 1, 1], values: [20, 30, 60])
        #expect(one.merged(with: two) == Points(steps: [1, 2, 3, 5, 6], times: [1, 1, 1, 1, 1], values: [1, 20, 3, 5, 60]))
    }
}

struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension Double {
    /// All NaNs are one here.
    var canonicalBits: UInt64 { isNaN ? Double.nan.bitPattern : bitPattern }
}

extension Points {
    /// Curves as trainers leave them: rounded, of 32 bits, of 64 bits, constant, with NaN and infinities, without any order of sense.
    static func random(_ random: inout Seeded, count: Int, style: Int) -> Points {
        var points = Points()
        var (step, time) = (Int64(0), Int64(1_760_000_000_000))
        for index in 0..<count {
            step += style == 5 ? Int64.random(in: 0...1_000_000_000, using: &random) : 10
            time += Int64.random(in: 495...505, using: &random) + (index % 100 == 99 ? 20_000 : 0)
            let loss = 1.2 + 0.3 * Double.random(in: 0...1, using: &random)
            let value: Double =
                switch style {
                case 0: (loss * 10_000).rounded() / 10_000
                case 1: Double(Float(loss))
                case 2: loss
                case 3: 0.0001
                case 4: [Double.nan, .infinity, -.infinity, -0.0, 5e-324, .greatestFiniteMagnitude, loss][index % 7]
                default: Double(bitPattern: random.next())
                }
            points.append(Place(step: step, time: time), value)
        }
        return points
    }
}
