import EventLoop
import Glibc
import HTTPServer
import JSON
import Service

/// Artifacts of runs: files below the job's output folder. Workers share the disk and write them themselves; others come through HTTP.
@LoopActor
enum MLflowArtifacts {
    /// Where a client finds the artifacts of a run.
    static func location(of run: TrackedRun, for call: Call) -> String {
        if call.caller.attemptID != nil { return "file://" + call.service.artifactFolder(of: run) }
        return "mlflow-artifacts:/\(run.experimentID)/\(run.id)/artifacts"
    }

    static func list(_ call: Call, _ request: MLflowRequest) async throws -> JSONValue {
        let run = try await call.service.trackedRun(try request.run())
        let path = try request.text("path") ?? ""
        let folder = try Self.file(path, below: call.service.artifactFolder(of: run))
        let files = try await call.service.reading.run { Self.entries(of: folder, named: path) }
        return ["root_uri": .string(location(of: run, for: call)), "files": .array(files)]
    }

    private nonisolated static func entries(of folder: String, named path: String) -> [JSONValue] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var found: [(String, JSONValue)] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            guard name != ".", name != "..", lstat(folder + "/" + name, &status) == 0 else { continue }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            let full = path.isEmpty ? name : path + "/" + name
            var document: JSONObject = ["path": .string(full), "is_dir": .bool(isFolder)]
            if !isFolder { document["file_size"] = .int(Int64(status.st_size)) }
            found.append((name, .object(document)))
        }
        return found.sorted { $0.0 < $1.0 }.map(\.1)
    }

    /// A path below a folder; one that leads out of it is refused.
    nonisolated static func file(_ path: String, below folder: String) throws -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard !parts.contains(".."), !path.utf8.contains(0), path.utf8.count <= 4096 else {
            throw ServiceError(.badRequest, "Invalid path: '\(path)'")
        }
        return parts.isEmpty ? folder : folder + "/" + parts.joined(separator: "/")
    }
}

// The proxy for artifacts (mlflow/server/handlers.py), for clients on other machines.
extension MLflowArtifacts {
    private nonisolated static let base = "/api/2.0/mlflow-artifacts/artifacts"

    nonisolated static let routes: [Route] = [
        Route(.get, base, "mlflowArtifact", access: .read, anyQuery: true, task: listFolder),
        Route(.get, base + "/{path+}", "mlflowArtifact", access: .read, anyQuery: true, task: download),
        Route(.put, base + "/{path+}", "mlflowArtifact", access: .attempt, anyQuery: true, task: upload),
    ]

    /// The file, or where `isFolder` says so also the folder of all, that `EXPERIMENT/RUN/artifacts/PATH` names.
    private static func file(_ call: Call, _ name: String, isFolder: Bool = false) async throws -> (run: TrackedRun, path: String) {
        let parts = name.split(separator: "/", maxSplits: 3)
        guard parts.count == 4 || (isFolder && parts.count == 3), parts[2] == "artifacts" else {
            throw ServiceError(.notFound, "there is no artifact '\(name)'")
        }
        let run = try await call.service.trackedRun(String(parts[1]))
        return (run, try file(parts.count == 4 ? String(parts[3]) : "", below: call.service.artifactFolder(of: run)))
    }

    /// What a folder holds; the client names it in the query.
    private static func listFolder(_ call: Call) async throws -> Answer {
        let (_, folder) = try await file(call, call.query("path") ?? "", isFolder: true)
        let files = try await call.service.reading.run { entries(of: folder, named: "") }
        return .json(bytes: JSONWriter().bytes(of: ["files": .array(files)]))
    }

    private static func download(_ call: Call) async throws -> Answer {
        let (_, path) = try await file(call, call.parameter())
        let bytes = try await call.service.reading.run { try ArtifactFile.read(path) }
        var headers = HTTPHeaders()
        headers.set("Content-Type", "application/octet-stream")
        headers.set("Content-Disposition", "attachment")
        return Answer(status: .ok, headers: headers, body: bytes)
    }

    private static func upload(_ call: Call) async throws -> Answer {
        call.exchange.bodyBytesMax = Int64(ServiceLimits.artifactBytesMax)
        let (run, path) = try await file(call, call.parameter())
        _ = try await MLflowRoutes.writable(call, run.id)
        let bytes = try await call.body(upTo: ServiceLimits.artifactBytesMax)
        try await call.service.reading.run { try ArtifactFile.write(bytes, to: path) }
        return .json(bytes: Array("{}".utf8))
    }
}

/// Artifacts on the disk.
private enum ArtifactFile {
    static func read(_ path: String) throws -> [UInt8] {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ServiceError(.notFound, "there is no such artifact")
        }
        guard status.st_size <= ServiceLimits.artifactBytesMax else {
            throw ServiceError(.tooLarge, "the artifact has \(status.st_size) bytes; read it from the disk: \(path)")
        }
        return try FileStreaming.whole(path: path, bytes: Int64(status.st_size))
    }

    /// Writes a file under its name only when it is whole.
    static func write(_ bytes: [UInt8], to path: String) throws {
        func failure(_ what: String) -> ServiceError {
            errno == ENOSPC
                ? ServiceError(.diskFull, "the disk is full")
                : ServiceError(.internal, "\(what) \(path): \(String(cString: strerror(errno)))")
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        var folder = ""
        for part in parts.dropLast() {
            folder += "/" + part
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw failure("make the folder of") }
        }
        let partial = path + ".partial"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw failure("open") }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("write") }
            offset += count
        }
        guard rename(partial, path) == 0 else { throw failure("rename") }
    }
}
