import Datasets
import Evaluation
import Generation
import Glibc
import JSON

/// Answers that were generated before: files with one record a line, which holds the input's fields and the model's answer.
///
/// Several files are several samples of the same records in the same order, as are equal parts of one file one after the other. The
/// answers stay on disk; memory holds where each one is.
final class GenerationAnswers: Sendable {
    /// A line of a file.
    private struct Place: Sendable {
        var file: Int
        var bytes: Range<Int>
    }

    let items: [BenchmarkItem]
    let samples: Int
    /// SHA-256 over questions and expected answers, by which two evaluations of the same questions know each other.
    let questionsHash: String
    private let paths: [String]
    private let descriptors: [Int32]
    /// In the order of the files.
    private let places: [Place]
    private let answerKey: String
    /// Records of one sample.
    private let stride: Int

    /// - Parameters:
    ///   - samples: of how many passes over the records one file consists.
    ///   - answerKey: the member with the answer.
    init(paths: [String], samples: Int, answerKey: String, benchmark: EvaluateRequest.Benchmark) throws {
        self.paths = paths
        self.answerKey = answerKey
        self.samples = paths.count > 1 ? paths.count : samples
        descriptors = try paths.map { path throws(FileError) in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
            return descriptor
        }
        var reading = Reading(benchmark: benchmark, answerKey: answerKey)
        for file in paths.indices { try reading.read(paths[file], file: file) }
        stride = try reading.itemCount(samples: self.samples, paths: paths)
        let count = min(stride, benchmark.limit ?? .max)
        items = Array(reading.items.prefix(count))
        places = reading.places.map { Place(file: $0.file, bytes: $0.bytes) }
        questionsHash = ContentHash.sha256(of: Array(reading.hashes.prefix(count).joined(separator: "\n").utf8))
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// The place of a sample in the order of the files.
    private func index(_ item: Int, _ sample: Int) -> Int { sample * stride + item }

    /// The answer of a sample.
    func answer(item: Int, sample: Int) throws -> Completion {
        let record = try JSONParser.parse(try line(index(item, sample)), options: .python)
        func milliseconds(_ key: String) -> Int64 { Int64(((record[key]?.double ?? 0) * 1000).rounded()) }
        return Completion(
            content: record[answerKey]?.string ?? "", reasoning: record["reasoning_content"]?.string,
            finishReason: record["finish_reason"]?.string ?? "", promptTokens: nil, completionTokens: record["num_generated_tokens"]?.int,
            startedAt: milliseconds("generation_start_time"), endedAt: milliseconds("generation_end_time"))
    }

    private func line(_ index: Int) throws -> [UInt8] {
        let place = places[index]
        var bytes = [UInt8](repeating: 0, count: place.bytes.count)
        let count = pread(descriptors[place.file], &bytes, bytes.count, off_t(place.bytes.lowerBound))
        guard count == bytes.count else { throw FileError(call: "pread", path: paths[place.file], code: count < 0 ? errno : EIO) }
        return bytes
    }

    /// Appends every record with its grade to a file, in the order of the files.
    ///
    /// - Parameter grade: the members to add to the record of an item and a sample.
    func write(to writer: DatasetWriter, grade: (_ item: Int, _ sample: Int) -> JSONObject) throws {
        for sample in 0..<samples {
            for item in items.indices {
                var added = grade(item, sample)
                let record = try line(index(item, sample))
                if answerKey != "generation" {
                    added["generation"] = .string(try JSONParser.parse(record, options: .python)[answerKey]?.string ?? "")
                }
                try writer.append(line: try Self.record(record, adding: added))
            }
        }
    }

    /// A record with further members; where it has none of them, its own text stays as it is.
    private static func record(_ bytes: [UInt8], adding added: JSONObject) throws -> [UInt8] {
        var members = try JSONParser.parse(bytes, options: .python).object ?? [:]
        let hasNone = added.keys.allSatisfy { members[$0] == nil }
        for (key, value) in added { members[key] = value }
        let writer = JSONWriter(layout: .python)
        guard hasNone, let end = bytes.lastIndex(of: UInt8(ascii: "}")), members.count > added.count else {
            return writer.bytes(of: .object(members))
        }
        // The added members without their first brace.
        return Array(bytes[..<end]) + Array(", ".utf8) + writer.bytes(of: .object(added)).dropFirst()
    }
}

/// The first look at files of generations.
private struct Reading {
    let benchmark: EvaluateRequest.Benchmark
    let answerKey: String
    var items: [BenchmarkItem] = []
    /// Of each record its file, its line and where it stands.
    var places: [(file: Int, line: Int, bytes: Range<Int>)] = []
    /// Of each record a hash of question and expected answer.
    var hashes: [String] = []
    private var log = DatasetIssueLog()

    init(benchmark: EvaluateRequest.Benchmark, answerKey: String) { (self.benchmark, self.answerKey) = (benchmark, answerKey) }

    /// Reads a file; broken records refuse the whole.
    mutating func read(_ path: String, file: Int) throws {
        var (limit, count) = (benchmark.limit ?? .max, 0)
        // Of one file the passes are known only at its end.
        if benchmark.samples > 1 { limit = .max }
        try JSONLineReader(path: path).read { line in
            guard count < limit, !line.isBlank else { return }
            count += 1
            if line.isTooLong { return log.add(DatasetIssue(line: line.number, detail: "the line is too long")) }
            do throws(JSONError) {
                try take(JSONParser.parse(line.bytes, options: .python), file, line.number, line.offset..<(line.offset + line.bytes.count))
            } catch {
                log.add(DatasetIssue(line: line.number, detail: "not one JSON object: \(error)"))
            }
        }
        try log.first.first.map { try fail("\(path): \($0)" + (log.count > 1 ? " (and \(log.count - 1) more)" : "")) }
    }

    private mutating func take(_ record: JSONValue, _ file: Int, _ line: Int, _ bytes: Range<Int>) throws(JSONError) {
        guard record[answerKey]?.string != nil else {
            return log.add(DatasetIssue(line: line, pointer: "/\(answerKey)", detail: "must hold the model's answer as a text"))
        }
        switch BenchmarkItem.read(record, benchmark) {
        case .failure(let problem): log.add(DatasetIssue(line: line, pointer: problem.pointer, detail: problem.detail))
        case .success(let item):
            let content: JSONValue = [.array(item.messages), .string(item.expected)]
            hashes.append(ContentHash.sha256(of: JSONWriter(sortsKeys: true).bytes(of: content)))
            places.append((file, line, bytes))
            // Items of further samples are those of the first.
            if file == 0 { items.append(item) }
        }
    }

    /// The number of items, once all samples are known to be of the same ones.
    func itemCount(samples: Int, paths: [String]) throws -> Int {
        let total = places.count
        guard total > 0 else { try fail("\(paths.joined(separator: ", ")) holds no generations") }
        if paths.count > 1 {
            let counts = paths.indices.map { file in places.count { $0.file == file } }
            if let other = counts.firstIndex(where: { $0 != counts[0] }) {
                try fail("\(paths[0]) has \(counts[0]) generations and \(paths[other]) has \(counts[other]); every sample needs as many")
            }
        } else if total % samples != 0 {
            try fail("\(paths[0]) has \(total) generations, which is no multiple of \(samples) samples")
        }
        let count = total / samples
        for index in count..<max(count, total) where hashes[index] != hashes[index % count] {
            let (one, other) = (places[index % count], places[index])
            try fail(
                "\(paths[other.file]), line \(other.line): another question or expected answer than in line \(one.line) of \(paths[one.file]); "
                    + "samples have the same records in the same order")
        }
        return count
    }

    private func fail(_ text: String) throws -> Never {
        throw WorkerFailure.badData("benchmark '\(benchmark.name)': \(text)", issues: log.first)
    }
}
