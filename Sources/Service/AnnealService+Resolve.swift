import Crypto
import Domain
import JSON
import Specification
import Store

// From references to artifacts: what a job consumes, with content hashes.
extension AnnealService {
    /// Replaces the references of a job whose needs have ended, and hashes what it consumes.
    ///
    /// - Parameter needs: the jobs that it needs; `nil` where they have not been read yet.
    func resolve(_ record: JobRecord, needs: [JobRecord]? = nil) async throws -> ResolvedJob {
        var body = record.spec.object ?? [:]
        body["env"] = record.environment
        var references: [Reference] = []
        _ = JobPlan.resolve(spec: .object(body)) {
            references.append($0); return ""
        }
        let producers = references.isEmpty ? [:] : try await producers(for: record, known: needs)
        let selection = CheckpointSelection(spec: record.spec)
        var inputs = try references.filter { !($0.pointer == CheckpointSelection.pointer && selection != nil) }.map {
            try Self.input(for: $0, producers: producers)
        }
        let paths = Dictionary(inputs.map { ($0.reference ?? "", $0.path) }, uniquingKeysWith: { first, _ in first })
        var resolved = JobPlan.resolve(spec: .object(body)) { paths[$0.raw] ?? "" }
        var selected: [ResolvedInput] = []
        if let selection {
            selected = try await checkpoints(selection, of: producers[selection.training])
            resolved = resolved.replacing(CheckpointSelection.pointer, by: .array(selected.map { .string($0.path) }))
        }
        let occupied = Set(references.map(\.pointer) + selected.map(\.pointer))
        for pointer in InputPlaces.of(kind: record.kind, in: resolved) where !occupied.contains(pointer) {
            guard let text = resolved[pointer]?.string else { continue }
            let input = try await namedInput(text, at: pointer)
            inputs.append(input)
            resolved = resolved.replacing(pointer, by: .string(input.path))
        }
        for input in inputs { try input.checkReadable(by: record.kind) }
        if record.kind == .generate, let path = resolved["prompt"]?.string, PromptFile.isPath(path) {
            resolved = resolved.replacing(JSONPointer(["prompt"]), by: .object(try await promptFile(path)))
        }
        let named = inputs.filter { $0.reference == nil }.map { ($0.pointer, $0.sha256) }
        var referred = inputs.compactMap { input in input.reference.map { ($0, input.sha256) } }
        if let name = selected.first?.reference { referred.append((name, selected.map(\.sha256).joined(separator: ","))) }
        inputs += selected
        let canonical = CacheKey.canonicalForm(
            kind: record.kind, engine: record.engine ?? "", spec: record.spec,
            environment: record.environment.object?.reduce(into: [:]) { $0[$1.key] = $1.value.string ?? "" },
            workingDirectory: record.workingDirectory, inputs: Dictionary(named, uniquingKeysWith: { first, _ in first }),
            references: Dictionary(referred, uniquingKeysWith: { first, _ in first }))
        return ResolvedJob(spec: resolved, inputs: inputs, cacheKey: SHA256.hash(data: canonical).hexadecimal)
    }

    /// The jobs that this one needs, by name.
    private func producers(for record: JobRecord, known: [JobRecord]?) async throws -> [String: JobRecord] {
        var needs = known ?? []
        if known == nil { needs = try await store.read { reader in try reader.needs(job: record.id).compactMap { try reader.job($0) } } }
        return Dictionary(needs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// What a `${job.output}` stands for, now that the job has ended.
    private nonisolated static func input(for reference: Reference, producers: [String: JobRecord]) throws -> ResolvedInput {
        guard let producer = producers[reference.job] else {
            throw ServiceError(.notFound, "\(reference.pointer): '\(reference.raw)' names a job that this job does not need")
        }
        guard let output = producer.outputs?[reference.output], let path = output["path"]?.string,
            let kind = output["type"]?.string.flatMap(JobInputRecord.ArtifactType.init(rawValue:))
        else {
            let known = producer.outputs?.object?.keys.joined(separator: ", ") ?? ""
            throw ServiceError(
                .notFound,
                "\(reference.pointer): job '\(producer.name)' made no output '\(reference.output)'; it made: \(known.isEmpty ? "nothing" : known)"
            )
        }
        return ResolvedInput(
            pointer: reference.pointer, reference: reference.raw, kind: kind, id: output["id"]?.string, path: path,
            sha256: output["sha256"]?.string ?? "", format: output["format"]?.string, rows: output["rows"]?.int)
    }

    /// What an input that is no reference names: a registered artifact, or a path.
    private func namedInput(_ text: String, at pointer: JSONPointer) async throws -> ResolvedInput {
        if text.hasPrefix("/") {
            // Looked at again: a link may lead elsewhere by now.
            try checkReadable(text, at: pointer.description)
            return ResolvedInput(pointer: pointer, kind: .file, path: text, sha256: try await hasher.hash(path: text))
        }
        if text.hasPrefix("checkpoint:") || text.hasPrefix("ckpt_") {
            return try await checkpointInput(String(text.trimmingPrefix("checkpoint:")), at: pointer)
        }
        if text.hasPrefix("eval_") {
            guard let evaluation = try await store.read({ try $0.evaluation(text) }) else { throw ServiceError.missing("evaluation", text) }
            guard let path = evaluation.path else { throw ServiceError(.gone, "the evaluation '\(text)' has no file any more") }
            return ResolvedInput(
                pointer: pointer, kind: .evaluation, id: evaluation.id, path: path, sha256: try await hasher.hash(path: path))
        }
        let dataset = try await datasetRecord(text)
        return ResolvedInput(
            pointer: pointer, kind: .dataset, id: dataset.id, path: try await intactPath(of: dataset), sha256: dataset.sha256,
            format: dataset.format,
            rows: dataset.rows)
    }

    /// The content of a prompt's file, which the worker gets in the spec.
    private func promptFile(_ path: String) async throws -> JSONObject {
        try checkReadable(path, at: "/prompt")
        let bytes = try await files.run { try Folders.tail(of: path, limit: ServiceLimits.specBytesMax + 1) }
        guard let bytes else { throw ServiceError(.notFound, "/prompt: there is no file at \(path)") }
        guard bytes.count <= ServiceLimits.specBytesMax else {
            throw ServiceError(.badRequest, "/prompt: \(path) has more than \(ServiceLimits.specBytesMax) bytes")
        }
        switch PromptFile.parse(bytes) {
        case .success(let prompt): return prompt
        case .failure(let errors):
            throw ServiceError(.badRequest, "/prompt: \(path): \(errors)")
        }
    }

    private func checkpointInput(_ id: String, at pointer: JSONPointer) async throws -> ResolvedInput {
        guard let checkpoint = try await store.read({ try $0.checkpoint(id) }) else { throw ServiceError.missing("checkpoint", id) }
        guard checkpoint.deletedAt == nil else { throw ServiceError(.gone, "the checkpoint '\(id)' has been deleted") }
        return ResolvedInput(pointer: pointer, kind: .checkpoint, id: id, path: checkpoint.path, sha256: checkpoint.sha256 ?? "")
    }
}

extension JSONValue {
    /// A copy with the value at `pointer`, which exists, replaced.
    func replacing(_ pointer: JSONPointer, by value: JSONValue) -> JSONValue {
        guard let token = pointer.tokens.first else { return value }
        let rest = JSONPointer(Array(pointer.tokens.dropFirst()))
        switch self {
        case .object(var members):
            if let member = members[token] { members[token] = member.replacing(rest, by: value) }
            return .object(members)
        case .array(var elements):
            if let index = Int(token), elements.indices.contains(index) { elements[index] = elements[index].replacing(rest, by: value) }
            return .array(elements)
        default:
            return self
        }
    }
}
