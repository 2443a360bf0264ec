import EventLoop
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
        let run = try await call.service.trackedRun(try await MLflowRoutes.readable(call, try request.run()))
        let path = try request.text("path") ?? ""
        let folder = try Self.file(path, of: run, call)
        let files = try await call.service.reading.run { Self.entries(of: folder, named: path) }
        return ["root_uri": .string(location(of: run, for: call)), "files": .array(files)]
    }

    private static func file(_ path: String, of run: TrackedRun, _ call: Call) throws -> ArtifactFile {
        try ArtifactFile(path, below: call.service.artifactFolder(of: run), of: call.service.configuration.dataDirectory)
    }

    private nonisolated static func entries(of folder: ArtifactFile, named path: String) -> [JSONValue] {
        folder.entries().map { name, isFolder, bytes in
            var document: JSONObject = ["path": .string(path.isEmpty ? name : path + "/" + name), "is_dir": .bool(isFolder)]
            if !isFolder { document["file_size"] = .int(bytes) }
            return .object(document)
        }
    }
}

// The proxy for artifacts (mlflow/server/handlers.py), for clients on other machines.
extension MLflowArtifacts {
    private nonisolated static let base = "/api/2.0/mlflow-artifacts/artifacts"

    nonisolated static let routes: [Route] = [
        Route(.get, base, "mlflowArtifact", access: .read, bound: .filtered, anyQuery: true, task: listFolder),
        Route(.get, base + "/{path+}", "mlflowArtifact", access: .read, bound: .filtered, anyQuery: true, task: download),
        Route(.put, base + "/{path+}", "mlflowArtifact", access: .log, bound: .filtered, anyQuery: true, task: upload),
    ]

    /// The file, or where `isFolder` says so also the folder of all, that `EXPERIMENT/RUN/artifacts/PATH` names.
    private static func file(_ call: Call, _ name: String, isFolder: Bool = false) async throws -> (run: TrackedRun, file: ArtifactFile) {
        let parts = name.split(separator: "/", maxSplits: 3)
        guard parts.count == 4 || (isFolder && parts.count == 3), parts[2] == "artifacts" else {
            throw ServiceError(.notFound, "there is no artifact '\(name)'")
        }
        let run = try await call.service.trackedRun(try await MLflowRoutes.readable(call, String(parts[1])))
        return (run, try file(parts.count == 4 ? String(parts[3]) : "", of: run, call))
    }

    /// What a folder holds; the client names it in the query.
    private static func listFolder(_ call: Call) async throws -> Answer {
        let (_, folder) = try await file(call, call.query("path") ?? "", isFolder: true)
        let files = try await call.service.reading.run { entries(of: folder, named: "") }
        return .json(bytes: JSONWriter().bytes(of: ["files": .array(files)]))
    }

    private static func download(_ call: Call) async throws -> Answer {
        let (_, file) = try await file(call, call.parameter())
        let bytes = try await call.service.reading.run { try file.read() }
        var headers = HTTPHeaders()
        headers.set("Content-Type", "application/octet-stream")
        headers.set("Content-Disposition", "attachment")
        return Answer(status: .ok, headers: headers, body: bytes)
    }

    private static func upload(_ call: Call) async throws -> Answer {
        call.exchange.bodyBytesMax = Int64(ServiceLimits.artifactBytesMax)
        let (run, file) = try await file(call, call.parameter())
        _ = try await MLflowRoutes.writable(call, run.id)
        let bytes = try await call.body(upTo: ServiceLimits.artifactBytesMax)
        try await call.service.reading.run { try file.write(bytes) }
        return .json(bytes: Array("{}".utf8))
    }
}
