import Datasets
import EventLoop
import Generation
import Glibc
import JSON

/// Brings the records of a generation into the order of the data and names what was made.
@LoopActor
struct GenerateOutputs {
    /// What the registry calls the form of these records.
    nonisolated private static let format: JSONValue = "generations"

    let run: GenerateRun
    let folder: String

    /// Writes the final files and gives the content of outputs.json.
    func document(failures: FailureList?) throws -> JSONObject {
        var outputs = JSONObject()
        var files: [WrittenFile] = []
        for pass in run.passes {
            let file = try write(pass)
            files.append(file)
            if run.passes.count > 1 { outputs[pass.suffix] = Self.output(file) }
        }
        if let only = files.first, files.count == 1 {
            outputs["generations"] = Self.output(only)
        } else {
            outputs["generations"] = Self.output(try Self.join(files.map(\.path), to: folder + "/generations.jsonl"))
        }
        let missing = run.total - run.done
        if let failures { outputs["failed"] = ["type": "file", "path": .string(failures.path), "rows": .int(Int64(missing))] }
        let summary: JSONObject = [
            "records": .int(Int64(run.range.count)), "passes": .int(Int64(run.passes.count)), "generations": .int(Int64(run.done)),
            "failed": .int(Int64(missing)), "reused": .int(Int64(run.reused)),
        ]
        return ["outputs": .object(outputs), "summary": .object(summary)]
    }

    /// The final file of a pass. Its marker comes after it and the ledger goes last, so that a kill at any moment leaves one of both.
    private func write(_ pass: GenerationPass) throws -> WrittenFile {
        guard let ledger = pass.ledger else { return try Self.facts(of: pass.path) }
        let writer = try DatasetWriter(path: pass.path)
        for position in 0..<run.range.count {
            if let record = try ledger.record(at: position) { try writer.append(line: record) }
        }
        let file = try writer.finish()
        // A pass with failed records stays open: a later attempt asks for them again.
        guard ledger.count == run.range.count else { return file }
        let marker = open(pass.path + ".done", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard marker >= 0 else { throw FileError(call: "open", path: pass.path + ".done", code: errno) }
        close(marker)
        ledger.remove()
        return file
    }

    /// What is true of a file that an earlier attempt wrote.
    private static func facts(of path: String) throws -> WrittenFile {
        var (rows, bytes) = (0, 0)
        try JSONLineReader(path: path).read(onChunk: { bytes += $0.count }, onLine: { if !$0.isBlank { rows += 1 } })
        return WrittenFile(path: path, rows: rows, bytes: Int64(bytes), sha256: try ContentHash.sha256(ofFile: path))
    }

    /// Several files in one, one after the other.
    nonisolated static func join(_ files: [String], to path: String) throws -> WrittenFile {
        let writer = try DatasetWriter(path: path)
        for file in files {
            try JSONLineReader(path: file).read { line in
                if !line.isBlank { try writer.append(line: line.bytes) }
            }
        }
        return try writer.finish()
    }

    /// How outputs.json names a file of generations.
    nonisolated static func output(_ file: WrittenFile) -> JSONValue {
        [
            "type": "dataset", "path": .string(file.path), "format": format, "rows": .int(Int64(file.rows)),
            "bytes": .int(file.bytes), "sha256": .string(file.sha256),
        ]
    }
}

/// Names in a folder.
enum Folder {
    static func names(in path: String) throws(FileError) -> [String] {
        guard let folder = opendir(path) else { throw FileError(call: "opendir", path: path, code: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) { String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)) })
        }
        return names
    }
}
