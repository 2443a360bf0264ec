import EventLoop
import HTTPServer
import Service

/// Datasets: streamed in, streamed out.
@LoopActor
enum DatasetRoutes {
    /// Bytes that may wait for the disk before the socket is read no further.
    private static let unwrittenBytesMax = 4 * 1024 * 1024

    static func list(_ call: Call) async throws -> Answer {
        try .json(try await call.service.datasets(name: call.query("name"), page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.dataset(call.parameter())) }

    static func delete(_ call: Call) async throws -> Answer {
        try await call.service.deleteDataset(call.parameter())
        return Answer(status: .noContent, body: [])
    }

    static func upload(_ call: Call) {
        do {
            let name = try DatasetName.checked(call.query("name"))
            let format = try call.choice("format", as: UploadFormat.self) ?? .auto
            receive(try call.service.beginUpload(), call, name: name, format: format == .auto ? nil : format.rawValue)
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
                return try .json(view, status: isNew ? .created : .ok, location: isNew ? "/v1/datasets/\(view.id)" : nil)
            }
        }
    }

    static func content(_ call: Call) {
        Task { @LoopActor in
            do {
                let record = try await call.service.datasetRecord(call.parameter())
                var headers = HTTPHeaders()
                headers.set("Content-Type", "application/x-ndjson")
                headers.set("ETag", "\"\(record.sha256)\"")
                try await FileStreaming.send(path: record.path, from: 0, to: record.bytes, call, headers: headers)
            } catch {
                call.fail(error)
            }
        }
    }
}

/// The formats that an upload may declare.
private enum UploadFormat: String, CaseIterable {
    case auto, messages, preference, jcqa
    case inputOutput = "input_output"
}

/// Names of datasets.
enum DatasetName {
    /// The name, where it is one: letters, digits, `.`, `_` and `-`, up to 200 of them, the first a letter or digit.
    static func checked(_ name: String?) throws(ServiceError) -> String {
        guard let name else { throw ServiceError(.badRequest, "the query parameter 'name' is required") }
        let isWord: (UInt8) -> Bool = { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
        guard let first = name.utf8.first, isWord(first), name.utf8.count <= 200,
            name.utf8.allSatisfy({ isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else {
            throw ServiceError(
                .badRequest, "query parameter 'name': must be letters, digits, '.', '_' and '-', up to 200, the first a letter or digit")
        }
        return name
    }
}
