import Testing

@testable import Packing

@Suite struct PackingPlanTests {
    private func failure(_ lengths: PackingLengths, _ options: PackingOptions) -> PackingError? {
        #expect(throws: PackingError.self) { try PackingPlan.make(lengths: lengths, options: options) }
    }

    @Test func chosenAndRejectedStayTogether() throws {
        let pairs = [(3, 2), (4, 4), (1, 1), (2, 1)].map { PackingLengths.Pair(chosen: $0.0, rejected: $0.1) }
        let options = PackingOptions(packer: .firstFitDecreasing, capacity: 8, maxSequenceLength: 4)
        let plan = try PackingPlan.make(lengths: .pairs(pairs), options: options)
        #expect(plan.bins == [[1], [0, 3], [2]])
        #expect([0, 1, 2].map(plan.load(ofBin:)) == [8, 8, 2])
        #expect(plan.statistics.sequenceCount == 4)
    }

    @Test func aBinMustHoldTwoOfTheLongestSequencesOfAPair() {
        let pair = PackingLengths.pairs([PackingLengths.Pair(chosen: 1, rejected: 1)])
        let error = failure(pair, PackingOptions(capacity: 7, maxSequenceLength: 4))
        #expect(error?.code == .badRequest)
        #expect(error?.message.contains("twice as much") == true)
    }

    @Test func aPairThatIsTooLongIsDroppedWhenAsked() throws {
        let pairs = [(5, 1), (2, 2), (1, 9)].map { PackingLengths.Pair(chosen: $0.0, rejected: $0.1) }
        let options = PackingOptions(capacity: 8, maxSequenceLength: 4, overlong: .drop)
        let plan = try PackingPlan.make(lengths: .pairs(pairs), options: options)
        #expect(plan.bins == [[1]])
        #expect(plan.dropped == [0, 2])
        #expect(plan.statistics.droppedCount == 2)
        #expect(plan.statistics.sequencesPerBin == 1)
    }

    @Test func aRecordThatIsTooLongIsNamed() {
        let error = failure(.sequences([3, 9, 4]), PackingOptions(capacity: 8))
        #expect(error?.code == .badData)
        #expect(error?.record == 1)
        #expect(error?.message == "record 1 has 9 tokens, more than the 8 allowed")
    }

    @Test func eachSequenceIsPaddedBeforeItIsPacked() throws {
        let plan = try PackingPlan.make(
            lengths: .sequences([5, 4, 3]), options: PackingOptions(packer: .concatenative, capacity: 12, padMultiple: 4))
        #expect(plan.bins == [[0, 1], [2]])
        #expect(plan.statistics.totalPadding == 4)
        let pair = PackingLengths.pairs([PackingLengths.Pair(chosen: 5, rejected: 1)])
        let padded = try PackingPlan.make(lengths: pair, options: PackingOptions(capacity: 12, padMultiple: 4))
        #expect(padded.load(ofBin: 0) == 12)
        let error = failure(.sequences([7]), PackingOptions(capacity: 7, padMultiple: 4))
        #expect(error?.message == "record 0 takes 8 tokens, more than the capacity of 7")
    }

    @Test(arguments: [0, -1]) func lengthsMustBePositive(length: Int) {
        for packer in Packer.allCases {
            #expect(failure(.sequences([1, length]), PackingOptions(packer: packer, capacity: 4))?.record == 1)
        }
        #expect(failure(.pairs([PackingLengths.Pair(chosen: 1, rejected: length)]), PackingOptions(capacity: 4))?.record == 0)
    }

    @Test func optionsOutOfRangeAreRefused() {
        let one = PackingLengths.sequences([1])
        #expect(failure(one, PackingOptions(capacity: 0))?.code == .badRequest)
        #expect(failure(one, PackingOptions(capacity: PackingOptions.capacityMax + 1))?.code == .badRequest)
        #expect(failure(one, PackingOptions(capacity: 4, minBinCount: -1))?.code == .badRequest)
        #expect(failure(one, PackingOptions(capacity: 4, binCountMultiple: 0))?.code == .badRequest)
        #expect(failure(one, PackingOptions(capacity: 4, padMultiple: 0))?.code == .badRequest)
        #expect(failure(one, PackingOptions(capacity: 4, maxSequenceLength: 0))?.code == .badRequest)
        #expect(throws: Never.self) { try PackingPlan.make(lengths: one, options: PackingOptions(capacity: PackingOptions.capacityMax)) }
    }

    @Test func nothingToPackIsAnError() {
        #expect(failure(.sequences([]), PackingOptions(capacity: 4))?.message.contains("no records") == true)
        #expect(failure(.sequences([5, 6]), PackingOptions(capacity: 4, overlong: .drop))?.message.contains("all 2 records") == true)
    }

    @Test func recordsAfterDroppedOnesKeepTheirPlaces() throws {
        for packer in Packer.allCases {
            let options = PackingOptions(packer: packer, capacity: 4, overlong: .drop)
            let plan = try PackingPlan.make(lengths: .sequences([9, 2, 9, 1, 9, 1]), options: options)
            #expect(plan.bins.flatMap(\.self).sorted() == [1, 3, 5], "\(packer)")
        }
    }
}
