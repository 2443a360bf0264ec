import Datasets
import Glibc
import JSON

/// What the worker contract gives to a worker: places, the job, and where to report.
struct WorkerContext: Sendable {
    /// An artifact that the daemon resolved for this job.
    struct Input: Sendable {
        var path: String?
        var id: String?
        var sha256: String?
        var reference: String?
    }

    let attemptFolder: String
    let outputFolder: String
    let job: JSONValue
    let metrics: MetricsFile
    let outputs: OutputsFile
    let environment: [(name: String, value: String)]

    init() throws {
        let environment = Self.readEnvironment()
        self.environment = environment
        func variable(_ name: String) throws(WorkerFailure) -> String {
            guard let value = environment.first(where: { $0.name == name })?.value, !value.isEmpty else {
                throw .badRequest("", "the environment has no \(name): anneal-worker is started by anneald")
            }
            return value
        }
        outputs = OutputsFile(path: try variable("ANNEAL_OUTPUTS"))
        attemptFolder = try variable("ANNEAL_ATTEMPT_DIR")
        outputFolder = try variable("ANNEAL_OUTPUT_DIR")
        metrics = try MetricsFile(path: try variable("ANNEAL_METRICS"))
        let spec = try variable("ANNEAL_SPEC")
        job = try Self.readDocument(spec)
        guard mkdir(outputFolder, 0o755) == 0 || errno == EEXIST else {
            throw FileError(call: "mkdir", path: outputFolder, code: errno)
        }
    }

    func variable(_ name: String) -> String? { environment.first { $0.name == name }?.value }

    /// The artifact behind the value at `pointer` of the spec.
    func input(at pointer: String) -> Input? {
        guard let entry = job["inputs"]?[pointer] else { return nil }
        return Input(
            path: entry["path"]?.string, id: entry["id"]?.string, sha256: entry["sha256"]?.string, reference: entry["reference"]?.string)
    }

    /// Reads a JSON file of moderate size.
    static func readDocument(_ path: String, options: JSONParser.Options = JSONParser.Options()) throws -> JSONValue {
        let file = try FileReader(path: path)
        var bytes: [UInt8] = []
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk)
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= documentBytesMax else {
                throw WorkerFailure.badRequest("", "\(path) has more than \(documentBytesMax) bytes")
            }
            if count < chunk.count { break }
        }
        do throws(JSONError) {
            return try JSONParser.parse(bytes, options: options)
        } catch {
            throw WorkerFailure.badRequest("", "\(path): \(error)")
        }
    }

    /// Bytes of a document that is read whole.
    private static let documentBytesMax = 256 << 20

    private static func readEnvironment() -> [(name: String, value: String)] {
        var list: [(name: String, value: String)] = []
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { list.append((name: String(parts[0]), value: String(parts[1]))) }
            entry += 1
        }
        return list
    }
}
