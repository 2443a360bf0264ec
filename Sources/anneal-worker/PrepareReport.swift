import Datasets
import JSON

/// What outputs.json tells of a preparation.
struct PrepareReport {
    let result: Preparation.Result
    let ending: PrepareRequest.Ending?
    let made: PreparePacking.Made

    var document: JSONObject {
        var outputs = JSONObject()
        var summary: JSONObject = ["records_read": Self.number(result.recordsRead), "errors": Self.number(result.issues.count)]
        for output in result.outputs {
            outputs[output.name] = [
                "type": "dataset", "path": .string(output.file.path), "format": .string(output.format.rawValue),
                "rows": Self.number(output.file.rows), "bytes": .int(output.file.bytes), "sha256": .string(output.file.sha256),
            ]
            summary[output.name + "_rows"] = Self.number(output.file.rows)
        }
        for file in result.files { outputs[name(of: file)] = ["type": "file", "path": .string(file.file.path)] }
        // Shards take the place of the records that they were made of.
        for (name, output) in made.outputs { outputs[name] = output }
        if !result.steps.isEmpty { summary["steps"] = .array(result.steps.map(Self.json)) }
        if !result.files.isEmpty { summary["files"] = .array(result.files.map(Self.json)) }
        if result.badRecords > 0 { summary["bad_records"] = Self.number(result.badRecords) }
        if result.issues.count > 0 {
            summary["first_errors"] = .array(
                result.issues.first.map { ["line": Self.number($0.line), "pointer": .string($0.pointer), "detail": .string($0.detail)] })
        }
        switch ending {
        case .pack?: summary["packing"] = .object(made.summary)
        case .shards?: summary["webdataset"] = .object(made.summary)
        case nil: break
        }
        return ["outputs": .object(outputs), "summary": .object(summary)]
    }

    /// The position tells the files of several steps of one kind apart.
    private func name(of file: Preparation.SideFile) -> String {
        result.files.count { $0.name == file.name } == 1 ? file.name : "\(file.name)_\(file.step)"
    }

    private static func number(_ count: Int) -> JSONValue { .int(Int64(count)) }

    private static func json(_ file: Preparation.SideFile) -> JSONValue {
        ["path": .string(file.file.path), "bytes": .int(file.file.bytes), "sha256": .string(file.file.sha256)]
    }

    private static func json(_ counts: StepCounts) -> JSONValue {
        func numbers(_ values: [String: Int]) -> JSONValue {
            .object(JSONObject(uniqueKeysWithValues: values.sorted { $0.key < $1.key }.map { ($0.key, number($0.value)) }))
        }
        var members: JSONObject = [
            "position": number(counts.position), "name": .string(counts.name), "records_in": number(counts.recordsIn),
            "records_out": number(counts.recordsOut),
        ]
        if !counts.dropped.isEmpty { members["dropped"] = numbers(counts.dropped) }
        if !counts.others.isEmpty { members["counts"] = numbers(counts.others) }
        return .object(members)
    }
}
