import APITypes
import Datasets
import Domain
import Glibc
import JSON
import Store

/// A dataset that is a folder: WebDataset shards with the metadata of Megatron-Energon in `.nv-meta`.
enum ShardFolder {
    /// What the registry and workers call it.
    static let format = "webdataset"

    /// One shard.
    struct Shard: Sendable {
        var name: String
        var samples: Int
        /// The part of Energon's split that has it; `nil` where it has none.
        var part: String?
    }

    /// The shards that the metadata of `folder` name. Blocks: call it off the loop.
    static func shards(of folder: String) throws -> [Shard] {
        let path = folder + "/.nv-meta/.info.json"
        guard let bytes = try Folders.tail(of: path, limit: metadataBytesMax),
            let info = try? JSONParser.parse(bytes),  // What is no JSON tells no counts either.
            let counts = info["shard_counts"]?.object
        else {
            throw ServiceError(
                .invalidDataset, "\(folder) is no folder of shards: it has no readable .nv-meta/.info.json with 'shard_counts'")
        }
        let parts = try parts(of: folder)
        return try counts.map { name, samples in
            guard let samples = samples.int, samples >= 0, access("\(folder)/\(name)", R_OK) == 0 else {
                throw ServiceError(.invalidDataset, "\(path): the shard '\(name)' is missing, or its number of samples is")
            }
            return Shard(name: name, samples: samples, part: parts[name])
        }
    }

    /// Bytes of a file of the metadata.
    private static let metadataBytesMax = 64 << 20

    /// The part of each shard, from `split.yaml` as the step `webdataset` writes it; shards of another's are in none.
    private static func parts(of folder: String) throws -> [String: String] {
        guard let bytes = try Folders.tail(of: folder + "/.nv-meta/split.yaml", limit: metadataBytesMax) else { return [:] }
        var parts: [String: String] = [:]
        var part: String?
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix("  - ") {
                if let part { parts[String(line.dropFirst(4))] = part }
            } else {
                part = line.hasPrefix("  ") && line.hasSuffix(":") ? String(line.dropFirst(2).dropLast()) : nil
            }
        }
        return parts
    }
}

extension Folders {
    /// Puts a worker's folder into a content store: a folder of the same files, by hard links or copies, that appears when it is
    /// complete. One that is there already has the same content.
    static func adoptFolder(_ source: String, as target: String) throws {
        if try renew(target) { return }
        let temporary = target + ".partial"
        try remove(temporary)
        try create(temporary)
        for file in try FileTree.files(below: source) ?? [] { try adopt("\(source)/\(file)", as: "\(temporary)/\(file)") }
        guard rename(temporary, target) == 0 else { throw failure("finish", temporary) }
    }
}

extension DatasetRecord {
    /// Throws where the dataset is a folder; `advice` tells what to do then.
    public func checkFile(_ reference: String, _ advice: String) throws(ServiceError) {
        guard format == ShardFolder.format else { return }
        throw ServiceError(.conflict, "the dataset '\(reference)' is a folder of WebDataset shards at \(path); \(advice)")
    }
}

extension AnnealService {
    /// Registers a folder of shards; its hash is that of the listing of its files with their hashes.
    func addShards(_ output: WorkerReport.Output, job: JobRecord, name: String) async throws -> JSONValue {
        let shards = try await files.run { try ShardFolder.shards(of: output.path) }
        let sha256 = try await hasher.hash(path: output.path)
        let target = "\(configuration.datasetsDirectory)/\(sha256.prefix(2))/\(sha256)"
        let bytes = try await files.run {
            try Folders.adoptFolder(output.path, as: target)
            return try FileTree.bytes(of: target)
        }
        let record = DatasetRecord(
            id: identifiers.next(.dataset), name: name, sha256: sha256, rows: shards.reduce(0) { $0 + $1.samples }, bytes: bytes,
            format: ShardFolder.format, path: target, producedBy: job.id, outputName: output.name, createdAt: now)
        return try await store.write { try $0.insert(dataset: record) }.dataset.outputDocument
    }

    /// Describes a folder of shards by its metadata: the samples are its shards.
    func inspectShards(_ record: DatasetRecord, samples: Int) async throws -> DatasetInspectionView {
        let shards = try await inspecting.run { try ShardFolder.shards(of: record.path) }
        var parts: [(value: String, count: Int)] = []
        for shard in shards {
            let part = shard.part ?? "none"
            if let known = parts.firstIndex(where: { $0.value == part }) {
                parts[known].count += shard.samples
            } else {
                parts.append((part, shard.samples))
            }
        }
        return DatasetInspectionView(
            dataset: ArtifactRendering.view(of: record), characters: Self.lengths(LengthSummary()), words: Self.lengths(LengthSummary()),
            duplicates: 0, duplicateShare: 0, labels: parts.filter { $0.count > 0 }.map { LabelView(value: $0.value, records: $0.count) },
            labelMember: nil, fields: [],
            samples: shards.prefix(samples).enumerated().map { place, shard in
                let members: JSONObject = [
                    "shard": .string(shard.name), "samples": .int(Int64(shard.samples)), "part": shard.part.map(JSONValue.string) ?? .null,
                    "folder": .string(record.path),
                ]
                return DatasetSampleView(line: place + 1, record: .object(members))
            })
    }
}

extension ResolvedInput {
    /// Throws where a job of `kind` takes a dataset for a file that is a folder of shards.
    func checkReadable(by kind: JobKind) throws(ServiceError) {
        guard format == ShardFolder.format, kind != .command else { return }
        throw ServiceError(
            .invalidSpec,
            "\(pointer): the dataset is a folder of WebDataset shards (\(path)), which a \(kind.rawValue) job does not read; a command job can"
        )
    }
}
