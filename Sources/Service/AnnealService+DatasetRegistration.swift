import APITypes
import Datasets
import Domain
import EventLoop
import Glibc
import JSON
import Specification
import Store

// Registration: content that came in, files of this machine, and URLs that a job fetches.
extension AnnealService {
    /// Validates a file of our own and puts it into the content store. A file that is one JSON array becomes JSON Lines.
    ///
    /// - Returns: the dataset, and whether it is a new version.
    func registerContent(
        at path: String, name: String, format: DatasetFormat?, source: JSONObject
    ) async throws -> (DatasetView, isNew: Bool) {
        let target = path + ".lines"
        defer { files.submit { unlink(target) } }
        let facts = try await inspecting.run { try DatasetCheck.inspect(path, declared: format, arrayTarget: target) }
        try DatasetCheck.refuse(facts)
        var source = source
        if facts.convertedPath != nil { source["converted_from"] = "json_array" }
        let (record, isNew) = try await adoptDataset(
            at: facts.convertedPath ?? path, facts: facts, name: name, producedBy: nil, output: nil, source: .object(source))
        return (ArtifactRendering.view(of: record), isNew)
    }

    /// Registers a file of this machine: a copy of it, or the file itself, which must then stay as it is.
    public func registerFile(_ path: String, copies: Bool, _ request: DatasetRegistration) async throws -> (DatasetView, isNew: Bool) {
        try checkReadable(path, at: "/file")
        guard try await files.run({ PathProbe.kind(of: path) }) == .file else {
            throw ServiceError(
                .conflict, "there is no file at '\(path)'", errors: [.init(pointer: "/file", detail: "there is no such file")])
        }
        if let wanted = request.sha256 {
            let found = try await hasher.hash(path: path)
            guard found == wanted.lowercased() else {
                let detail = "the file has the hash \(found), not \(wanted)"
                throw ServiceError(.conflict, "\(path): \(detail)", errors: [.init(pointer: "/sha256", detail: detail)])
            }
        }
        let format = request.format.flatMap(DatasetFormat.init(rawValue:))
        if !copies { return try await refer(to: path, name: request.name, format: format) }
        let folder = configuration.uploadsDirectory
        let copy = folder + "/" + identifiers.next(.dataset)
        defer {
            files.submit {
                unlink(copy)
                unlink(copy + ".partial")
            }
        }
        try await inspecting.run {
            try DatasetRoom.check(try FileTree.bytes(of: path), in: folder)
            try Folders.copy(path, to: copy)
        }
        let source: JSONObject = ["kind": "file", "path": .string(path), "copied": true]
        return try await registerContent(at: copy, name: request.name, format: format, source: source)
    }

    private func refer(to path: String, name: String, format: DatasetFormat?) async throws -> (DatasetView, isNew: Bool) {
        let (facts, identity) = try await inspecting.run { () throws -> (DatasetFacts, FileHashRecord) in
            guard try !DatasetInspection.isArray(path: path) else {
                throw ServiceError(.invalidDataset, "\(path) is one JSON array; what is used where it lies must be JSON Lines: set 'copy'")
            }
            let before = try FileIdentity(path: path)
            let facts = try DatasetCheck.inspect(path, declared: format, arrayTarget: nil)
            let identity = before.record(path: path, sha256: facts.sha256)
            guard try FileIdentity(path: path).matches(identity) else {
                throw ServiceError(.conflict, "\(path) changed while it was read; nothing was registered")
            }
            return (facts, identity)
        }
        try DatasetCheck.refuse(facts)
        let record = DatasetRecord(
            id: identifiers.next(.dataset), name: name, sha256: facts.sha256, rows: facts.rows, bytes: facts.bytes,
            format: (facts.format ?? .records).rawValue, path: path,
            source: ["kind": "file", "path": .string(path), "copied": false], createdAt: now)
        let (dataset, isNew) = try await store.write { writer in
            try writer.put(fileHash: identity)
            return try writer.insert(dataset: record)
        }
        return (ArtifactRendering.view(of: dataset), isNew)
    }

    /// Submits the job that fetches a URL, and registers what it brings under the name that was asked for.
    public func fetchDataset(_ url: String, bytesMax: Int64?, _ request: DatasetRegistration) async throws -> DatasetFetchView {
        var source: JSONObject = ["url": .string(url)]
        if let sha256 = request.sha256 { source["sha256"] = .string(sha256) }
        if let bytesMax { source["bytes_max"] = .int(bytesMax) }
        var job: JSONObject = [
            "kind": "prepare", "source": .object(source), "register_as": .string(request.name),
            // What a URL leads to may be other data tomorrow.
            "cache": false,
            // A worker that was killed goes on; one whose server is away has tried for long itself.
            "retry": ["limit": 3, "on": ["network": 0]],
        ]
        if let format = request.format { job["format"] = .string(format) }
        let name = String("fetch-\(request.name)".prefix(Self.experimentNameLengthMax))
        let spec: JSONValue = [
            "name": .string(name), "description": .string("Fetches the dataset \(request.name)."), "jobs": ["fetch": .object(job)],
        ]
        let experiment: ExperimentView
        do {
            experiment = try await submit(
                SubmissionRequest(document: JSONWriter().bytes(of: spec), format: .json, overrides: [], baseDirectory: nil))
        } catch let error as ServiceError where error.code == .invalidSpec {
            throw Self.inTermsOfTheRequest(error)
        }
        return DatasetFetchView(
            name: request.name, url: DatasetSource.plain(url), experimentID: experiment.id, jobID: experiment.jobs.first?.id ?? "")
    }

    private nonisolated static let experimentNameLengthMax = 100

    /// Errors of the spec that was made of a request, with the places that the request has.
    private nonisolated static func inTermsOfTheRequest(_ error: ServiceError) -> ServiceError {
        let errors = error.errors.map { fault in
            let member = fault.pointer.split(separator: "/").last.map(String.init) ?? ""
            return ServiceError.Detail(pointer: "/" + (member == "register_as" ? "name" : member), detail: fault.detail)
        }
        return ServiceError(.badRequest, error.detail, errors: errors)
    }

    /// The path of a dataset's content, which is what was registered: a user's file is looked at first.
    public func intactPath(of record: DatasetRecord) async throws -> String {
        guard record.isReference else { return record.path }
        let name = "\(record.name)@\(record.version)"
        guard try await files.run({ PathProbe.kind(of: record.path) }) == .file else {
            throw ServiceError(.conflict, "the file of the dataset '\(name)' is gone: \(record.path); put it back or register it again")
        }
        let found = try await hasher.hash(path: record.path)
        guard found == record.sha256 else {
            throw ServiceError(
                .conflict,
                "the file of the dataset '\(name)' has changed since it was registered: \(record.path) has the hash \(found.prefix(12))…, "
                    + "not \(record.sha256.prefix(12))…; register it again as a new version, or put it back")
        }
        return record.path
    }

    /// Looks at users' files again right before a worker reads them; a job may have waited for long.
    func checkReferences(among inputs: [ResolvedInput]) async throws {
        for input in inputs where input.kind == .dataset && !input.path.hasPrefix(configuration.datasetsDirectory + "/") {
            guard let id = input.id, let record = try await store.read({ try $0.dataset(id) }) else { continue }
            _ = try await intactPath(of: record)
        }
    }
}

/// What is true of content before it is taken.
enum DatasetCheck {
    static func inspect(_ path: String, declared: DatasetFormat?, arrayTarget: String?) throws -> DatasetFacts {
        do {
            let facts = try DatasetInspection.inspect(path: path, format: declared, arrayTarget: arrayTarget)
            guard facts.errorCount > 0, let declared else { return facts }
            // Sound records of another format are not broken; the declaration is.
            let other = try DatasetInspection.inspect(path: path, arrayTarget: arrayTarget)
            guard other.errorCount == 0, let found = other.format else { return facts }
            throw ServiceError(.conflict, "the records are of the format '\(found.rawValue)', not '\(declared.rawValue)'; nothing was kept")
        } catch let error as FileError where error.isDiskFull {
            throw ServiceError(.diskFull, "\(error)")
        } catch let error as DatasetError {
            throw ServiceError(
                .invalidDataset, error.message,
                errors: error.issues.map { ServiceError.Detail(pointer: $0.pointer, line: $0.line, detail: $0.detail) })
        }
    }

    static func refuse(_ facts: DatasetFacts) throws {
        guard facts.errorCount == 0 else {
            let count = facts.errorCount == 1 ? "1 error" : "\(facts.errorCount) errors"
            let shown = facts.errorCount > facts.errors.count ? "; the first \(facts.errors.count) are listed" : ""
            throw ServiceError(
                .invalidDataset, "\(count) in \(facts.rows) records; nothing was kept\(shown)",
                errors: facts.errors.map { ServiceError.Detail(pointer: $0.pointer, line: $0.line, detail: $0.detail) })
        }
        guard facts.rows > 0 else { throw ServiceError(.invalidDataset, "the dataset is empty") }
    }
}

/// Room on the disk for content.
enum DatasetRoom {
    /// Throws where `bytes` more do not fit below a folder.
    static func check(_ bytes: Int64, of what: String = "dataset", in folder: String) throws {
        let free = try Folders.freeBytes(folder)
        guard bytes > free else { return }
        throw ServiceError(.diskFull, "the \(what) has \(bytes) bytes; \(free) are free on the disk of \(folder)")
    }
}
