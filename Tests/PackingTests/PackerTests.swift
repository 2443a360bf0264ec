import Testing

@testable import Packing

/// The vectors of facts D.2 and the definitions of D.1.
@Suite struct PackerTests {
    static let short = [4, 1, 3, 2, 1, 3, 4, 5]
    static let long = [700, 650, 600, 520, 500, 480, 400, 350, 300, 260, 250, 200, 180, 170, 150, 120, 100, 90, 60, 40]

    @Test func theVectorsForACapacityOfFive() throws {
        #expect(try bins(Self.short, .concatenative, capacity: 5) == [[0, 1], [2, 3], [4, 5], [6], [7]])
        #expect(try bins(Self.short, .firstFitDecreasing, capacity: 5) == [[7], [6, 4], [0, 1], [5, 3], [2]])
        #expect(try bins(Self.short, .modifiedFirstFitDecreasing, capacity: 5) == [[7], [0], [6], [2, 3], [5, 1, 4]])
    }

    @Test func theVectorsForACapacityOfEight() throws {
        #expect(try bins(Self.short, .concatenative, capacity: 8) == [[0, 1, 2], [3, 4, 5], [6], [7]])
        #expect(try bins(Self.short, .firstFitDecreasing, capacity: 8) == [[7, 5], [6, 0], [2, 3, 4, 1]])
        #expect(try bins(Self.short, .modifiedFirstFitDecreasing, capacity: 8) == [[7, 2], [5, 3, 1, 4], [0, 6]])
    }

    @Test func theVectorsForTwentyLengths() throws {
        let byDecrease = [[0, 8], [1, 7], [2, 6], [3, 5], [4, 9, 11, 19], [10, 12, 13, 14, 15, 16], [17, 18]]
        #expect(try bins(Self.long, .firstFitDecreasing, capacity: 1000) == byDecrease)
        let modified = [[0, 8], [1, 7], [2, 6], [3, 5], [16, 17, 18, 19], [4, 9, 14], [10, 11, 12, 13, 15]]
        #expect(try bins(Self.long, .modifiedFirstFitDecreasing, capacity: 1000) == modified)
        let adjusted = modified.dropLast() + [[10, 11, 12, 13], [15]]
        #expect(try bins(Self.long, .modifiedFirstFitDecreasing, capacity: 1000, multiple: 4) == Array(adjusted))
    }

    @Test(arguments: 0..<60) func firstFitDecreasingIsItsDefinition(block: Int) throws {
        var source = LengthSource(seed: UInt64(block) + 1)
        for _ in 0..<20 {
            let (lengths, capacity) = source.lengths()
            let expected = Definition.firstFitDecreasing(lengths, capacity: capacity)
            #expect(try bins(lengths, .firstFitDecreasing, capacity: capacity) == expected, "\(lengths) in \(capacity)")
            let inOrder = Definition.firstFit(Array(lengths.indices), lengths: lengths, capacity: capacity)
            #expect(try bins(lengths, .firstFit, capacity: capacity) == inOrder, "\(lengths) in \(capacity)")
        }
    }

    @Test(arguments: 0..<60) func modifiedFirstFitDecreasingIsItsDefinition(block: Int) throws {
        var source = LengthSource(seed: UInt64(block) + 1001)
        for _ in 0..<20 {
            let (lengths, capacity) = source.lengths()
            for (packer, isExact) in [(Packer.modifiedFirstFitDecreasing, false), (.modifiedFirstFitDecreasingExact, true)] {
                let expected = Definition.modifiedFirstFitDecreasing(lengths, capacity: capacity, isExact: isExact)
                #expect(try bins(lengths, packer, capacity: capacity) == expected, "\(lengths) in \(capacity)")
            }
        }
    }

    @Test func firstFitDecreasingIsItsDefinitionForManyLengths() throws {
        var source = LengthSource(seed: 77)
        // Many short ones and a few long ones, as datasets have them.
        let lengths = (0..<6000).map { _ in
            min(4096, 40 + Int.random(in: 0...64, using: &source) * Int.random(in: 0...64, using: &source))
        }
        #expect(try bins(lengths, .firstFitDecreasing, capacity: 4096) == Definition.firstFitDecreasing(lengths, capacity: 4096))
    }

    @Test(arguments: Packer.allCases) func everyRecordIsInOneBinAndNoBinIsTooFull(packer: Packer) throws {
        var source = LengthSource(seed: 5)
        for _ in 0..<100 {
            let (lengths, capacity) = source.lengths()
            let packed = try bins(lengths, packer, capacity: capacity, seed: 3)
            #expect(packed.flatMap(\.self).sorted() == Array(lengths.indices))
            #expect(packed.allSatisfy { bin in !bin.isEmpty && bin.reduce(0) { $0 + lengths[$1] } <= capacity })
        }
    }

    @Test func theSeedAloneDecidesTheShuffledOrder() throws {
        let lengths = Array(repeating: 1, count: 12)
        let first = try bins(lengths, .firstFitShuffle, capacity: 12, seed: 42)
        // Written down once: a plan must not change with a new version.
        #expect(first == [[9, 7, 11, 5, 4, 10, 6, 0, 3, 2, 1, 8]])
        #expect(try bins(lengths, .firstFitShuffle, capacity: 12, seed: 42) == first)
        #expect(try bins(lengths, .firstFitShuffle, capacity: 12, seed: 43) != first)
        var source = LengthSource(seed: 6)
        let (mixed, capacity) = source.lengths()
        var order = SeededOrder(seed: -9)
        let expected = Definition.firstFit(order.permutation(mixed.count), lengths: mixed, capacity: capacity)
        #expect(try bins(mixed, .firstFitShuffle, capacity: capacity, seed: -9) == expected)
    }

    @Test func anUnknownPackerIsAnErrorThatListsTheKnownOnes() throws {
        #expect(try Packer(named: "FIRST_FIT_DECREASING") == .firstFitDecreasing)
        let error = #expect(throws: PackingError.self) { try Packer(named: "best_fit") }
        #expect(error?.code == .badRequest)
        #expect(
            error?.message.contains("concatenative, first_fit, first_fit_decreasing, first_fit_shuffle, modified_first_fit_decreasing")
                == true)
    }
}
