import JSON
import Testing

@testable import Packing

@Suite struct PackingStatisticsTests {
    private func statistics(_ lengths: [Int], _ packer: Packer, capacity: Int) throws -> PackingStatistics {
        try PackingPlan.make(lengths: .sequences(lengths), options: PackingOptions(packer: packer, capacity: capacity)).statistics
    }

    /// Facts D.2.
    @Test func theVectors() throws {
        let five = try statistics(PackerTests.short, .modifiedFirstFitDecreasing, capacity: 5)
        #expect(abs(five.averageUtilization - 0.92) < 1e-9)
        #expect(abs(five.binBalance - 0.88093) < 5e-6)
        #expect(five.binEfficiency == 1)
        let eight = try statistics(PackerTests.short, .modifiedFirstFitDecreasing, capacity: 8)
        #expect(abs(eight.averageUtilization - 0.95833) < 5e-6)
        #expect(abs(eight.binBalance - 0.924693) < 5e-7)
        let twenty = try statistics(PackerTests.long, .modifiedFirstFitDecreasing, capacity: 1000)
        #expect(abs(twenty.averageUtilization - 0.874286) < 5e-7)
        #expect(abs(twenty.wasteRatio - 0.125714) < 5e-7)
        #expect(abs(twenty.binBalance - 0.701746) < 5e-7)
    }

    @Test func theCountsAddUp() throws {
        let found = try statistics(PackerTests.long, .firstFitDecreasing, capacity: 1000)
        #expect(found.sequenceCount == 20 && found.binCount == 7)
        #expect(found.totalSequenceLength == 6120 && found.totalBinCapacity == 7000 && found.totalWaste == 880)
        #expect(found.theoreticalMinBins == 7)
        #expect(found.maxSequenceLength == 700 && found.maxSequencesPerBin == 6 && found.minBinLoad == 150)
        #expect(found.lengthHistogram.reduce(0, +) == 20 && found.loadHistogram.reduce(0, +) == 7)
        #expect(found.lengthHistogram.count == PackingStatistics.histogramBars)
        #expect(found.loadHistogram[15] == 6 && found.loadHistogram[2] == 1)
    }

    @Test func aLengthOnABorderBelongsToTheLowerBar() throws {
        let found = try statistics([1, 2, 3, 32], .concatenative, capacity: 32)
        #expect(found.lengthHistogram[0] == 2 && found.lengthHistogram[1] == 1 && found.lengthHistogram[15] == 1)
    }

    @Test func oneBinIsInBalance() throws { #expect(try statistics([1, 2], .concatenative, capacity: 4).binBalance == 1) }

    @Test func theMetadataOfNeMoAreRounded() throws {
        let json = try statistics(PackerTests.long, .firstFitDecreasing, capacity: 1000).json(capacity: 1000)
        #expect(json["packing_factor"] == .double(2.86))
        #expect(json["packing_efficiency"] == .double(87.43))
        #expect(json["pack_size"] == 1000)
        #expect(json["dataset_max_seqlen"] == 700)
        #expect(json["max_samples_per_bin"] == 6)
        #expect(json["min_packed_seqlen"] == 150)
    }

    /// Facts D.3: the new batch is the old one over the sequences in a bin.
    @Test func theGlobalBatchIsRescaled() throws {
        let found = try statistics(PackerTests.long, .firstFitDecreasing, capacity: 1000)
        #expect(abs(found.exactGlobalBatchSize(512) - 179.2) < 1e-9)
        #expect(found.rescaledGlobalBatchSize(512) == 179)
        #expect(found.rescaledGlobalBatchSize(512, multipleOf: 8) == 176)
        #expect(found.rescaledGlobalBatchSize(512, multipleOf: 16) == 176)
        #expect(found.rescaledGlobalBatchSize(1) == 1)
        #expect(found.rescaledGlobalBatchSize(2, multipleOf: 8) == 8)
    }
}
