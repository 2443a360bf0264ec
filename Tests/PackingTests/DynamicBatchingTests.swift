import Testing

@testable import Packing

@Suite struct DynamicBatchingTests {
    @Test func sequencesAreSortedDealtAndCutTogether() throws {
        let batching = DynamicBatching(globalBatchSize: 8, shards: 2, tokenBudget: 12, lengthMultiple: 4)
        let batches = try batching.batches(lengths: [9, 1, 4, 2, 8, 3, 5, 12])
        // Ascending: 1 2 | 3 4 | 5 8 | 9 12, by record 1 3 | 5 2 | 6 4 | 0 7.
        #expect(
            batches == [
                [
                    .init(paddedLength: 4, shards: [[1, 5], [3, 2]]), .init(paddedLength: 8, shards: [[6], [4]]),
                    .init(paddedLength: 12, shards: [[0], [7]]),
                ]
            ])
    }

    @Test func equalLengthsKeepTheirOrderAndAPartialBatchIsLeftOut() throws {
        let batches = try DynamicBatching(globalBatchSize: 4, shards: 1, tokenBudget: 100).batches(lengths: [2, 2, 1, 2, 1, 1, 1, 1, 9])
        #expect(batches.map { $0.map(\.shards) } == [[[[2, 0, 1, 3]]], [[[4, 5, 6, 7]]]])
    }

    @Test func noMicroBatchIsOverItsBudget() throws {
        var source = LengthSource(seed: 21)
        for _ in 0..<50 {
            let (lengths, capacity) = source.lengths()
            let budget = capacity.roundedUp(to: 4)
            let batching = DynamicBatching(globalBatchSize: 6, shards: 3, tokenBudget: budget, lengthMultiple: 4)
            let batches = try batching.batches(lengths: lengths)
            #expect(batches.count == lengths.count / 6)
            for (number, batch) in batches.enumerated() {
                #expect(batch.flatMap { $0.shards.flatMap(\.self) }.sorted() == Array(number * 6..<number * 6 + 6))
                for micro in batch {
                    #expect(Set(micro.shards.map(\.count)).count == 1)
                    #expect(micro.shards[0].count * micro.paddedLength <= budget)
                    #expect(micro.shards.flatMap(\.self).allSatisfy { lengths[$0] <= micro.paddedLength })
                }
            }
        }
    }

    @Test func whatCannotBeDealtIsRefused() {
        #expect(throws: PackingError.self) { try DynamicBatching(globalBatchSize: 5, shards: 2, tokenBudget: 9).batches(lengths: [1]) }
        #expect(throws: PackingError.self) {
            try DynamicBatching(globalBatchSize: 1, shards: 1, tokenBudget: 9, lengthMultiple: 4).batches(lengths: [9])
        }
        #expect(throws: PackingError.self) { try DynamicBatching(globalBatchSize: 1, shards: 1, tokenBudget: 9).batches(lengths: [0]) }
        #expect(throws: PackingError.self) { try DynamicBatching(globalBatchSize: 1, shards: 1, tokenBudget: 9).batches(lengths: [.max]) }
        #expect(throws: PackingError.self) { try DynamicBatching(globalBatchSize: 1, shards: 1, tokenBudget: .max).batches(lengths: [1]) }
    }
}
