import Crypto
import Datasets
import Domain
import JSON
import Store

/// A file of generations: one JSON object a line, each with what a model gave under `generation`.
enum GenerationFile {
    /// What the registry and workers call it.
    static let format = "generations"

    /// What is true of a file.
    struct Facts: Sendable {
        var rows: Int
        var bytes: Int64
        var sha256: String
    }

    /// Reads the file once, in constant memory.
    static func inspect(path: String) throws -> Facts {
        var hash = SHA256()
        var bytes: Int64 = 0
        var rows = 0
        try JSONLineReader(path: path).read(
            onChunk: { chunk in
                hash.update(bufferPointer: chunk)
                bytes += Int64(chunk.count)
            },
            onLine: { line in
                if line.isBlank { return }
                rows += 1
                let record: JSONValue
                do throws(JSONError) {
                    record = try JSONParser.parse(line.bytes)
                } catch {
                    throw ServiceError(.invalidDataset, "\(path), line \(line.number): \(error)")
                }
                guard record["generation"]?.string != nil else {
                    throw ServiceError(.invalidDataset, "\(path), line \(line.number): the record has no text under 'generation'")
                }
            })
        return Facts(rows: rows, bytes: bytes, sha256: hash.finalize().hexadecimal)
    }
}

extension AnnealService {
    /// Registers a file of generations as a dataset. Its records keep the fields of their input, so none of the training formats fits.
    func addGenerations(_ output: WorkerReport.Output, job: JobRecord, name: String) async throws -> JSONValue {
        let facts = try await files.run { try GenerationFile.inspect(path: output.path) }
        let target = "\(configuration.datasetsDirectory)/\(facts.sha256.prefix(2))/\(facts.sha256).jsonl"
        try await files.run { try Folders.adopt(output.path, as: target) }
        let record = DatasetRecord(
            id: identifiers.next(.dataset), name: name, sha256: facts.sha256, rows: facts.rows, bytes: facts.bytes,
            format: GenerationFile.format, path: target, producedBy: job.id, outputName: output.name, createdAt: now)
        return try await store.write { try $0.insert(dataset: record) }.dataset.outputDocument
    }
}
