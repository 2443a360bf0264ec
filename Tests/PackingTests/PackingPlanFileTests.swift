import JSON
import Testing

@testable import Packing

@Suite struct PackingPlanFileTests {
    private static let provenance = PackingProvenance(
        tokenizerHash: String(repeating: "0a", count: 32), datasetHash: String(repeating: "f9", count: 32))

    private func lines(_ plan: PackingPlan, _ provenance: PackingProvenance = provenance) throws -> [String] {
        var lines: [String] = []
        try PackingPlanWriter(plan, provenance: provenance).write { lines.append(String(decoding: $0, as: UTF8.self)) }
        return lines
    }

    private func read(_ lines: [String]) throws -> (plan: PackingPlan, provenance: PackingProvenance) {
        var reader = PackingPlanReader()
        for line in lines { try reader.read(line: line.utf8) }
        return (try reader.finish(), reader.provenance)
    }

    private func plan(overlong: PackingOptions.Overlong = .refuse) throws -> PackingPlan {
        let lengths = PackerTests.short + (overlong == .drop ? [100] : [])
        return try PackingPlan.make(
            lengths: .sequences(lengths), options: PackingOptions(capacity: 8, seed: -3, binCountMultiple: 2, overlong: overlong))
    }

    @Test(arguments: [PackingOptions.Overlong.refuse, .drop]) func aPlanComesBackAsItWas(overlong: PackingOptions.Overlong) throws {
        let plan = try plan(overlong: overlong)
        let back = try read(lines(plan))
        #expect(back.plan == plan)
        #expect(back.provenance == Self.provenance)
        let unknown = try read(lines(plan, PackingProvenance()))
        #expect(unknown.provenance == PackingProvenance())
    }

    @Test func aPlanOfPairsComesBackAsItWas() throws {
        let pairs = [(5, 1), (2, 2), (1, 3)].map { PackingLengths.Pair(chosen: $0.0, rejected: $0.1) }
        let options = PackingOptions(
            packer: .firstFitShuffle, capacity: 16, minBinCount: 1, padMultiple: 2, maxSequenceLength: 4, overlong: .drop)
        let plan = try PackingPlan.make(lengths: .pairs(pairs), options: options)
        #expect(try read(lines(plan)).plan == plan)
    }

    @Test func theLinesAreAsDocumented() throws {
        let written = try lines(plan())
        let header = try JSONParser.parse(written[0])
        #expect(header["format"] == "anneal.packing-plan" && header["version"] == 1 && header["kind"] == "sft")
        #expect(header["packer"] == "first_fit_decreasing" && header["capacity"] == 8 && header["seed"] == -3)
        #expect(header["tokenizer_sha256"]?.string == Self.provenance.tokenizerHash)
        #expect(header["records"] == 8 && header["bins"] == 4 && header["statistics"]?["num_bins"] == 4)
        #expect(written[1] == #"{"bin":0,"records":[7,5],"lengths":[5,3]}"#)
        #expect(written.last == #"{"end":true,"dropped":{"records":[],"lengths":[]}}"#)
        #expect(written.count == 6)
    }

    @Test func aPlanCutOffAnywhereIsRefused() throws {
        let written = try lines(plan())
        for count in 0..<written.count {
            #expect(throws: PackingError.self, "\(count) lines") { try read(Array(written.prefix(count))) }
        }
    }

    /// A change to one line, and what the error must say.
    private static let changes: [(line: Int, from: String, to: String, message: String)] = [
        (0, "anneal.packing-plan", "other", "no packing plan"),
        (0, #""version":1"#, #""version":2"#, "version 2"),
        (0, #""kind":"sft""#, #""kind":"kto""#, "'sft' or 'dpo'"),
        (0, "first_fit_decreasing", "best_fit", "unknown packer"),
        (0, #""capacity":8"#, #""capacity":0"#, "the capacity"),
        (0, #""seed":-3,"#, "", "seed"),
        (0, "0a0a", "0G0a", "64 hexadecimal digits"),
        (0, #""records":8"#, #""records":9"#, "record 8 is in no bin"),
        (0, #""records":8"#, #""records":0"#, "records must be from 1"),
        (0, #""bins":4"#, #""bins":5"#, "its header says 5"),
        (0, #""bin_count_multiple":2"#, #""bin_count_multiple":3"#, "bin_count_multiple"),
        (0, #""total_waste":9"#, #""total_waste":8"#, "the statistics are not those of the bins"),
        (1, #""bin":0"#, #""bin":1"#, "expected bin 0"),
        (1, "[7,5]", "[7,7]", "record 7 is named twice"),
        (1, "[7,5]", "[7,8]", "no record of the 8"),
        (1, "[7,5]", "[7]", "lists of one size"),
        (1, "[5,3]", "[5,4]", "more than the capacity"),
        (1, "[5,3]", "[5,0]", "no length of record 5"),
        (1, "[5,3]", "[5,[1,2]]", "no length of record 5"),
        (1, "{", "[", "is not JSON"),
        (2, "{\"bin\":1,\"records\":[6,0],\"lengths\":[4,4]}", "[]", "must be an object"),
        (2, "{\"bin\":1,\"records\":[6,0],\"lengths\":[4,4]}", "{\"bin\":1,\"records\":[],\"lengths\":[]}", "is empty"),
        (5, "true", "1", "the end must be"),
    ]

    @Test(arguments: changes.indices) func aDamagedPlanIsRefusedWithItsLine(index: Int) throws {
        let change = Self.changes[index]
        var written = try lines(plan())
        #expect(written[change.line].contains(change.from))
        written[change.line] = written[change.line].replacing(change.from, with: change.to, maxReplacements: 1)
        let error = #expect(throws: PackingError.self) { try read(written) }
        #expect(error?.code == .badData)
        #expect(error?.line != nil)
        #expect(error?.message.contains(change.message) == true, "\(error?.message ?? "")")
    }

    @Test func nothingMayFollowTheEnd() throws {
        let written = try lines(plan())
        let error = #expect(throws: PackingError.self) { try read(written + [written[1]]) }
        #expect(error?.line == written.count + 1)
    }

    @Test func nothingIsDroppedFromAPlanThatRefuses() throws {
        var written = try lines(plan(overlong: .drop))
        written[0] = written[0].replacing(#""overlong":"drop""#, with: #""overlong":"refuse""#)
        #expect(throws: PackingError.self) { try read(written) }
    }

    @Test func aHeaderOfTooManyRecordsIsRefused() throws {
        var written = try lines(plan())
        written[0] = written[0].replacing(#""records":8"#, with: #""records":\#(PackingPlan.recordsMax + 1)"#)
        #expect(throws: PackingError.self) { try read(written) }
    }

    @Test func aHashThatIsNoneIsNotWritten() throws {
        #expect(throws: PackingError.self) { try lines(plan(), PackingProvenance(tokenizerHash: "abc")) }
    }
}
