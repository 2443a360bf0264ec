import EventLoop
import JSON
import Service
import Store

/// The newest events as they are sent, so that thousands of listeners cost one rendering.
@LoopActor
final class FrameCache {
    private struct Name: Hashable {
        let format: StreamFormat
        let keys: [KeyPattern]?
    }

    private let service: AnnealService
    private var sequence: Int64 = -1
    private var frames: [Name: [UInt8]] = [:]

    init(service: AnnealService) { self.service = service }

    /// The frame of an event under its own number; empty where no key of it is wanted.
    func frame(_ event: EventRecord, _ format: StreamFormat, keys: [KeyPattern]?) -> [UInt8] {
        if event.seq != sequence {
            sequence = event.seq
            frames = [:]
        }
        let name = Name(format: format, keys: event.metrics == nil ? nil : keys)
        if let frame = frames[name] { return frame }
        let frame = render(event, format, keys: name.keys, id: String(event.seq))
        frames[name] = frame
        return frame
    }

    /// The frame of an event under another identifier.
    func render(_ event: EventRecord, _ format: StreamFormat, keys: [KeyPattern]?, id: String) -> [UInt8] {
        var event = event
        if let keys, let metrics = event.metrics {
            let wanted = metrics.points.filter { point in keys.contains { $0.matches(point.key) } }
            guard !wanted.isEmpty else { return [] }
            event.metrics?.points = wanted[...]
        }
        return format.frame(type: event.type, id: id, document: document(event))
    }

    private func document(_ event: EventRecord) -> JSONValue {
        var members: JSONObject = ["seq": .int(event.seq), "type": .string(event.type), "at": .string(event.at.description)]
        members["experiment_id"] = event.experimentID.map(JSONValue.string) ?? .null
        members["job_id"] = event.jobID.map(JSONValue.string) ?? .null
        members["attempt_id"] = event.attemptID.map(JSONValue.string) ?? .null
        var data = event.payload
        // How far the job is now travels with its metrics; it is not part of the record.
        if event.type == "metric", let job = event.jobID, let progress = service.progressDocument(job), case .object(var fields) = data {
            fields["progress"] = progress
            data = .object(fields)
        }
        members["data"] = data
        return .object(members)
    }
}
