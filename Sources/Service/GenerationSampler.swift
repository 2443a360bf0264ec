import APITypes
import Datasets
import Domain
import Glibc
import JSON
import Store

/// Draws sample records from the files of generations. Blocks: call it off the loop.
struct GenerationSampler {
    /// One pass with its file.
    struct Source: Sendable {
        var pass: GenerationPassRecord
        var file: GenerationFiles
    }

    private struct Line {
        var source: Int
        /// The line's place in its file, from 0; `nil` where it is not known.
        var number: Int?
        var bytes: [UInt8]
    }

    private let sources: [Source]
    private var random: SplitMix

    init(_ sources: [Source], randomSeed: Int) {
        self.sources = sources
        random = SplitMix(state: UInt64(bitPattern: Int64(randomSeed)))
    }

    /// The same records for the same seed, while the files stay as they are.
    mutating func draw(_ count: Int) throws -> [GenerationSampleView] {
        let bytes = sources.map { Self.bytes(of: $0.file.path) }
        let total = bytes.reduce(0, +)
        guard total > 0, count > 0 else { return [] }
        let lines = total <= ServiceLimits.sampledWholeBytesMax ? try reservoir(count) : try places(count, bytes, total: total)
        return lines.compactMap(view).sorted { ($0.jobID, $0.seed, $0.record ?? 0) < ($1.jobID, $1.seed, $1.record ?? 0) }
    }

    private static func bytes(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Every record with the same chance (Vitter's algorithm R).
    private mutating func reservoir(_ count: Int) throws -> [Line] {
        var chosen: [Line] = []
        var seen = 0
        for (index, source) in sources.enumerated() {
            try JSONLineReader(path: source.file.path).read { line in
                guard line.isTerminated, !line.isBlank, line.bytes.count <= ServiceLimits.sampledRecordBytesMax else { return }
                seen += 1
                let place = chosen.count < count ? chosen.count : Int.random(in: 0..<seen, using: &random)
                guard place < count else { return }
                let found = Line(source: index, number: line.number - 1, bytes: Array(line.bytes))
                if place == chosen.count { chosen.append(found) } else { chosen[place] = found }
            }
        }
        return chosen
    }

    /// Records at random places of files that are too large to be read for it.
    private mutating func places(_ count: Int, _ bytes: [Int], total: Int) throws -> [Line] {
        var chosen: [Line] = []
        var taken: Set<[Int]> = []
        for _ in 0..<(count * 4) where chosen.count < count {
            var place = Int.random(in: 0..<total, using: &random)
            var index = 0
            while place >= bytes[index] {
                place -= bytes[index]
                index += 1
            }
            guard let (offset, line) = try Self.line(after: place, in: sources[index].file.path), taken.insert([index, offset]).inserted
            else { continue }
            chosen.append(Line(source: index, number: nil, bytes: line))
        }
        return chosen
    }

    /// The first whole line that begins after a place; `nil` where none does, or it is too long.
    private static func line(after place: Int, in path: String) throws -> (offset: Int, bytes: [UInt8])? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Folders.failure("open", path) }
        defer { close(descriptor) }
        var buffer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while buffer.count <= 2 * ServiceLimits.sampledRecordBytesMax {
            let count = pread(descriptor, &block, block.count, off_t(place + buffer.count))
            guard count > 0 else { return nil }
            buffer += block[..<count]
            guard let first = buffer.firstIndex(of: 0x0A), let last = buffer[(first + 1)...].firstIndex(of: 0x0A) else { continue }
            return (place + first + 1, Array(buffer[(first + 1)..<last]))
        }
        return nil
    }

    private func view(_ line: Line) -> GenerationSampleView? {
        // A line that is being written, or was damaged, is left out.
        guard var members = (try? JSONParser.parse(line.bytes, options: .python))?.object, let text = members["generation"]?.string else {
            return nil
        }
        let source = sources[line.source]
        let isWhole = source.pass.done == source.pass.total
        let position = source.file.isLedger ? members["_async_position"]?.int : isWhole ? line.number : nil
        let tokens = members["num_generated_tokens"]?.int
        let (finish, seconds) = (members["finish_reason"]?.string, members["generation_time"]?.double)
        for key in Self.ownKeys { members[key] = nil }
        let limit = ServiceLimits.sampleBytesMax
        let input = JSONValue.object(members)
        return GenerationSampleView(
            jobID: source.pass.jobID, seed: source.pass.seed, record: position.map { source.pass.first + $0 },
            input: input.text().utf8.count <= limit ? input : Optional<JSONValue>.none,
            generation: text.utf8.count <= limit ? text : String(decoding: text.utf8.prefix(limit), as: UTF8.self),
            isCut: text.utf8.count > limit, tokens: tokens, finishReason: finish, seconds: seconds)
    }

    private static let ownKeys = [
        "generation", "num_generated_tokens", "generation_start_time", "generation_end_time", "generation_time", "finish_reason",
        "_async_position",
    ]
}

/// Steele, Lea and Flood's SplitMix64: the same numbers for the same seed.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
