import Testing

@testable import Datasets

@Suite struct MersenneTwisterTests {
    @Test func drawsTheBitsThatCPythonDraws() {
        var random = MersenneTwister(seed: 42)
        #expect((0..<5).map { _ in random.bits(32) } == [2_746_317_213, 478_163_327, 107_420_369, 3_184_935_163, 1_181_241_943])
    }

    @Test func shufflesAsCPythonDoes() {
        var random = MersenneTwister(seed: 42)
        var order = Array(0..<10)
        random.shuffle(&order)
        #expect(order == [7, 3, 2, 8, 5, 6, 9, 4, 0, 1])
    }

    @Test func choosesAsCPythonDoes() {
        var random = MersenneTwister(seed: 42)
        #expect((0..<10).map { _ in random.choice([0, 1, 2, 3, 4]) } == [0, 0, 2, 1, 1, 1, 0, 4, 0, 4])
    }

    @Test(arguments: [0, 1, 7, 42, -3, 4_294_967_295, 4_294_967_296, 9_007_199_254_740_993])
    func agreesWithPythonOverManyDraws(seed: Int) throws {
        let lines = try Reference.run("random", String(seed), "700").split(separator: "\n")
        var random = MersenneTwister(seed: seed)
        var order = Array(0..<700)
        random.shuffle(&order)
        let choices = (0..<700).map { _ in random.choice(Array(0..<7)) }
        let bits = (0..<700).map { random.bits(1 + $0 % 64) }
        #expect(lines.map(String.init) == [order.text, choices.text, bits.text])
    }

    @Test func streamsOfOneSeedDiffer() {
        var first = MersenneTwister(seed: 42, stream: 1)
        var second = MersenneTwister(seed: 42, stream: 2)
        var plain = MersenneTwister(seed: 42)
        let draws = [first.next32(), second.next32(), plain.next32()]
        #expect(Set(draws).count == 3)
    }
}

extension Sequence where Element: CustomStringConvertible {
    fileprivate var text: String { map(\.description).joined(separator: " ") }
}
