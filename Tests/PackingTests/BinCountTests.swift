import Testing

@testable import Packing

@Suite struct BinCountTests {
    @Test func theFullestBinGivesItsLastRecordUntilOneIsLeft() throws {
        let given = [[0, 1, 2], [3, 4, 5], [6]]
        // Of two equal bins the later one gives first, down to its last record.
        #expect(try BinCount(minimum: 4).adjust(given) == [[0, 1, 2], [3, 4], [6], [5]])
        #expect(try BinCount(minimum: 6).adjust(given) == [[0, 1], [3], [6], [5], [4], [2]])
        #expect(try BinCount(minimum: 7).adjust(given) == [[0], [3], [6], [5], [4], [2], [1]])
    }

    @Test func enoughBinsAreLeftAsTheyAre() throws {
        let given = [[0, 1], [2], [3]]
        #expect(try BinCount(minimum: 3, multiple: 3).adjust(given) == given)
        #expect(try BinCount(minimum: 0, multiple: 1).adjust(given) == given)
    }

    @Test func theMinimumIsRaisedToTheMultiple() throws {
        #expect(try BinCount(minimum: 3, multiple: 4).adjust([[0, 1, 2], [3]]) == [[0], [3], [2], [1]])
    }

    @Test func moreBinsThanRecordsAreRefused() {
        let error = #expect(throws: PackingError.self) { try BinCount(multiple: 4).adjust([[0, 1], [2]]) }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("cannot make 4 bins of 3 sequences") == true)
    }

    @Test(arguments: Packer.allCases) func everyPackerKeepsItsRecordsThroughTheAdjustment(packer: Packer) throws {
        var source = LengthSource(seed: 11)
        for _ in 0..<50 {
            let (lengths, capacity) = source.lengths()
            let multiple = Int.random(in: 1...4, using: &source)
            guard let packed = try? bins(lengths, packer, capacity: capacity, minBinCount: 2, multiple: multiple) else {
                // Too few records for that many bins.
                #expect(lengths.count < max(2, lengths.count).roundedUp(to: multiple))
                continue
            }
            #expect(packed.count % multiple == 0 && packed.count >= 2)
            #expect(packed.flatMap(\.self).sorted() == Array(lengths.indices))
        }
    }
}
