import EventLoop
import HTTPServer
import JSON
import Service
import Specification

/// Datasets that are not sent but named: by a URL, which a job fetches, or by a file of the daemon's machine.
@LoopActor
enum DatasetRegistrationRoute {
    private static let members: Set<String> = ["name", "url", "file", "copy", "sha256", "bytes_max", "format"]

    static func register(_ call: Call) async throws -> Answer {
        let request = try read(try await call.jsonBody(upTo: ServiceLimits.requestBytesMax))
        try await call.service.checkDatasetName(request.name, within: call.caller.reach)
        switch request.place {
        case .url(let url, let bytesMax):
            let view = try await call.service.fetchDataset(url, bytesMax: bytesMax, request)
            return try .json(view, status: HTTPStatus(202), location: "/v1/jobs/\(view.jobID)")
        case .file(let path, let copies):
            let (view, isNew) = try await call.service.registerFile(path, copies: copies, request)
            return try .made(view, at: "/v1/datasets/\(view.id)", isNew: isNew)
        }
    }

    /// Reads the document; every fault of it is told at once.
    private static func read(_ body: JSONValue) throws -> DatasetRegistration {
        guard let object = body.object else { throw ServiceError(.badRequest, "the body must be an object") }
        var faults: [ServiceError.Detail] = []
        func fault(_ member: String, _ detail: String) { faults.append(.init(pointer: "/" + member, detail: detail)) }
        for key in object.keys where !members.contains(key) {
            faults.append(
                .init(
                    pointer: (JSONPointer() / key).description,
                    detail: "is not known; known are \(members.sorted().joined(separator: ", "))"))
        }
        let name = object["name"]?.string
        if !(name.map(NameRule.dataset.matches) ?? false) { fault("name", "must be \(DatasetName.rule)") }
        let place = place(object, fault)
        let sha256 = object["sha256"]?.string
        if object["sha256"] != nil, !(sha256.map(NameRule.sha256.matches) ?? false) { fault("sha256", "must be 64 hexadecimal digits") }
        let format = object["format"]?.string
        if object["format"] != nil, format.flatMap(UploadFormat.init(rawValue:)) == nil {
            fault("format", "must be one of \(UploadFormat.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard faults.isEmpty, let name, let place else {
            let first = faults.first.map { "\($0.pointer) \($0.detail)" } ?? "the request makes no sense"
            throw ServiceError(.badRequest, first, errors: faults)
        }
        return DatasetRegistration(name: name, place: place, sha256: sha256, format: format == "auto" ? nil : format)
    }

    private static func place(_ object: JSONObject, _ fault: (String, String) -> Void) -> DatasetRegistration.Place? {
        guard (object["url"] == nil) != (object["file"] == nil) else {
            fault("", "needs exactly one of 'url' and 'file'")
            return nil
        }
        if let value = object["url"] {
            if object["copy"] != nil { fault("copy", "stands only with 'file'") }
            let limit = object["bytes_max"]?.int
            if object["bytes_max"] != nil, (limit ?? 0) < 1 { fault("bytes_max", "must be a whole number of bytes from 1") }
            guard let url = value.string, ["http://", "https://"].contains(where: url.lowercased().hasPrefix) else {
                fault("url", "must be an http:// or https:// URL")
                return nil
            }
            return .url(url, bytesMax: limit.map(Int64.init))
        }
        if object["bytes_max"] != nil { fault("bytes_max", "stands only with 'url'") }
        let copies = object["copy"]?.bool
        if object["copy"] != nil, copies == nil { fault("copy", "must be true or false") }
        guard let path = object["file"]?.string, path.hasPrefix("/"), !path.utf8.contains(0) else {
            fault("file", "must be the absolute path of a file on the daemon's machine")
            return nil
        }
        return .file(path, copies: copies ?? true)
    }
}

/// The formats that new content may be declared to have.
enum UploadFormat: String, CaseIterable {
    case auto, messages, preference, prompt, jcqa, text, conversations, generations, records
    case inputOutput = "input_output"
}
