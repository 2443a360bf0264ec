import EventLoop
import HTTPServer
import Service
import Specification

/// Datasets: streamed in, streamed out.
@LoopActor
enum DatasetRoutes {
    /// Bytes that may wait for the disk before the socket is read no further.
    private static let unwrittenBytesMax = 4 * 1024 * 1024

    static func list(_ call: Call) async throws -> Answer {
        try .json(
            try await call.service.datasets(
                name: call.query("name"), tag: try tag(call), within: call.caller.reach, page: try call.page()))
    }

    /// `key:value`.
    private static func tag(_ call: Call) throws(ServiceError) -> (key: String, value: String)? {
        guard let text = call.query("tag") else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { throw Call.invalid("tag", "must be KEY:VALUE") }
        return (parts[0], parts[1])
    }

    /// What is in a dataset.
    static func inspect(_ call: Call) async throws -> Answer {
        let samples = try call.integer("samples", in: 0...samplesMax) ?? samplesUsual
        return try .json(try await call.service.inspectDataset(call.parameter(), samples: samples))
    }

    /// What a dataset has that another has not.
    static func diff(_ call: Call) async throws -> Answer {
        guard let from = call.query("from") else { throw Call.invalid("from", "is missing; name the older dataset") }
        guard let to = call.query("to") else { throw Call.invalid("to", "is missing; name the newer dataset") }
        let samples = try call.integer("samples", in: 0...samplesMax) ?? samplesUsual
        return try .json(try await call.service.diffDatasets(from: from, to: to, samples: samples))
    }

    private static let samplesMax = 100
    private static let samplesUsual = 5

    /// Changes the tags: `{"tags": {"key": "value", "other": null}}`.
    static func update(_ call: Call) async throws -> Answer {
        let body = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax)
        guard let members = body.object, let tags = members["tags"]?.object, members.count == 1 else {
            throw ServiceError(.badRequest, "the body must be an object with 'tags', an object")
        }
        var changes: [String: String?] = [:]
        for (key, value) in tags {
            guard (1...100).contains(key.unicodeScalars.count), !key.utf8.contains(0), value.isNull || isTag(value.string) else {
                let detail = "a tag is a name of 1 to 100 characters and a text of up to 1000, or null to take it away"
                throw ServiceError(.badRequest, detail, errors: [.init(pointer: "/tags/\(key)", detail: detail)])
            }
            changes[key] = .some(value.string)
        }
        return try .json(try await call.service.tagDataset(call.parameter(), changes))
    }

    private static func isTag(_ text: String?) -> Bool { text.map { $0.unicodeScalars.count <= 1000 && !$0.utf8.contains(0) } ?? false }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.dataset(call.parameter())) }

    static func delete(_ call: Call) async throws -> Answer {
        try await call.service.deleteDataset(call.parameter(), force: try call.flag("force"))
        return Answer(status: .noContent, body: [])
    }

    /// Takes the records themselves, or a JSON document that says where they are.
    static func upload(_ call: Call) {
        if call.query("name") == nil, call.request.headers["content-type"].map(Call.essence) == "application/json" {
            return call.task { try await Idempotency.run(call) { try await DatasetRegistrationRoute.register($0) } }
        }
        do {
            let name = try DatasetName.checked(call.query("name"))
            let format = try call.choice("format", as: UploadFormat.self) ?? .auto
            let announced = call.request.headers["content-length"].flatMap { Int64($0) }
            receive(
                try call.service.beginUpload(announcedBytes: announced), call, name: name, format: format == .auto ? nil : format.rawValue)
        } catch {
            call.fail(error)
        }
    }

    private static func receive(_ upload: DatasetUpload, _ call: Call, name: String, format: String?) {
        let exchange = call.exchange
        exchange.bodyBytesMax = ServiceLimits.uploadBytesMax
        exchange.streamBody { bytes in
            upload.append(bytes) { if upload.pendingBytes < unwrittenBytesMax { exchange.resumeBody() } }
            if upload.pendingBytes >= unwrittenBytesMax { exchange.pauseBody() }
        } onEnd: { error in
            if let error {
                upload.discard()
                let isTooLarge = if case .tooLarge = error { true } else { false }
                call.fail(ServiceError(isTooLarge ? .tooLarge : .badRequest, "the upload was not taken: \(error)"))
                return
            }
            call.task {
                let (view, isNew) = try await upload.finish(name: name, format: format)
                return try .made(view, at: "/v1/datasets/\(view.id)", isNew: isNew)
            }
        }
    }

    static func content(_ call: Call) {
        Task { @LoopActor in
            do {
                let record = try await call.service.datasetRecord(call.parameter())
                try record.checkFile(call.parameter(), "copy the folder itself")
                var headers = HTTPHeaders()
                headers.set("Content-Type", "application/x-ndjson")
                headers.set("ETag", "\"\(record.sha256)\"")
                let path = try await call.service.intactPath(of: record)
                try await FileStreaming.send(path: path, from: 0, to: record.bytes, call, headers: headers)
            } catch {
                call.fail(error)
            }
        }
    }
}

/// Names of datasets.
enum DatasetName {
    /// The name, where it is one: letters, digits, `.`, `_` and `-`, up to 200 of them, the first a letter or digit.
    static func checked(_ name: String?) throws(ServiceError) -> String {
        guard let name else { throw ServiceError(.badRequest, "the query parameter 'name' is required") }
        guard NameRule.dataset.matches(name) else {
            throw ServiceError(.badRequest, "query parameter 'name': must be \(rule)")
        }
        return name
    }

    static let rule = "letters, digits, '.', '_' and '-', up to 200, the first a letter or digit"
}
