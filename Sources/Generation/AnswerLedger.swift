import Datasets
import Glibc
import JSON

/// Which answer of an evaluation is meant.
public struct AnswerKey: Sendable, Hashable {
    public var benchmark: String
    /// The item's place in its dataset, from 0.
    public var item: Int
    /// From 0.
    public var sample: Int
    /// A hash of the request, so that answers to an earlier form of it do not count.
    public var request: String

    public init(benchmark: String, item: Int, sample: Int, request: CompletionRequest) {
        self.benchmark = benchmark
        self.item = item
        self.sample = sample
        // Sixty-four bits suffice: the hash tells apart forms of one request, not requests in general.
        self.request = String(ContentHash.sha256(of: JSONWriter(sortsKeys: true).bytes(of: request.json)).prefix(16))
    }

    fileprivate init?(json: JSONValue) {
        guard let benchmark = json["benchmark"]?.string, let item = json["item"]?.int, let sample = json["sample"]?.int,
            let request = json["request"]?.string
        else { return nil }
        self.benchmark = benchmark
        self.item = item
        self.sample = sample
        self.request = request
    }
}

/// All answers of an evaluation, appended to a file as they come, so that a killed evaluation goes on where it was.
///
/// The answers stay on disk; memory holds where each one is.
public final class AnswerLedger {
    private let path: String
    private let descriptor: Int32
    private var places: [AnswerKey: Range<Int>] = [:]
    private var end = 0

    /// Opens or makes the file; a last line that was written only in part is cut off.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        try JSONLineReader(path: path).read { line in
            guard line.isTerminated else { return }
            end = line.offset + line.bytes.count + 1
            // A line that was damaged is as good as an answer that is missing: it is asked for again.
            guard let record = try? JSONParser.parse(line.bytes), let key = AnswerKey(json: record) else { return }
            places[key] = line.offset..<(end - 1)
        }
        guard ftruncate(descriptor, off_t(end)) == 0 else { throw FileError(call: "ftruncate", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    /// Answers in the file.
    public var count: Int { places.count }

    public func contains(_ key: AnswerKey) -> Bool { places[key] != nil }

    /// Appends an answer with one write(2).
    public func append(_ completion: Completion, for key: AnswerKey) throws(FileError) {
        var line = JSONWriter().bytes(of: Self.json(key, completion))
        line.append(0x0A)
        let result = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard result == line.count else {
            let code = result < 0 ? errno : ENOSPC
            // A write that stopped half-way must not be glued to the next line.
            ftruncate(descriptor, off_t(end))
            throw FileError(call: "write", path: path, code: code)
        }
        places[key] = end..<(end + line.count - 1)
        end += line.count
    }

    /// Reads an answer back; `nil` where there is none.
    public func answer(for key: AnswerKey) throws -> Completion? {
        guard let place = places[key] else { return nil }
        var bytes = [UInt8](repeating: 0, count: place.count)
        let count = pread(descriptor, &bytes, bytes.count, off_t(place.lowerBound))
        guard count == bytes.count else { throw FileError(call: "pread", path: path, code: count < 0 ? errno : EIO) }
        return Self.completion(try JSONParser.parse(bytes))
    }

    /// Brings the answers to disk.
    public func sync() throws(FileError) {
        guard fdatasync(descriptor) == 0 else { throw FileError(call: "fdatasync", path: path, code: errno) }
    }

    private static func json(_ key: AnswerKey, _ completion: Completion) -> JSONValue {
        var members: JSONObject = [
            "benchmark": .string(key.benchmark), "item": .int(Int64(key.item)), "sample": .int(Int64(key.sample)),
            "request": .string(key.request),
            "content": .string(completion.content), "finish_reason": .string(completion.finishReason),
            "started_at_ms": .int(completion.startedAt), "ended_at_ms": .int(completion.endedAt),
        ]
        if let reasoning = completion.reasoning { members["reasoning"] = .string(reasoning) }
        if let tokens = completion.promptTokens { members["prompt_tokens"] = .int(Int64(tokens)) }
        if let tokens = completion.completionTokens { members["completion_tokens"] = .int(Int64(tokens)) }
        return .object(members)
    }

    private static func completion(_ json: JSONValue) -> Completion {
        Completion(
            content: json["content"]?.string ?? "", reasoning: json["reasoning"]?.string, finishReason: json["finish_reason"]?.string ?? "",
            promptTokens: json["prompt_tokens"]?.int, completionTokens: json["completion_tokens"]?.int,
            startedAt: json["started_at_ms"]?.int.map(Int64.init) ?? 0, endedAt: json["ended_at_ms"]?.int.map(Int64.init) ?? 0)
    }
}
