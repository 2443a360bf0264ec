import Domain
import JSON

/// Where a job's body names what the job consumes, as the tables of its kind tell.
public enum InputPlaces {
    /// Places of texts that name datasets, models, evaluations, or files that are taken for one of them; in the order of the tables.
    public static func of(kind: JobKind, in spec: JSONValue) -> [JSONPointer] {
        var places: [JSONPointer] = []
        let own = NemoRLEngine.table(kind: kind, spec: spec) ?? ParameterSchema.table(kind: kind, method: spec["method"]?.string)
        find(in: spec, as: .object(own), at: JSONPointer(), &places)
        // By its type a judge's model is a text, the name at its address; a judge that is another job's server came with that job's model.
        for (index, benchmark) in (spec["benchmarks"]?.array ?? []).enumerated() where benchmark["grading"]?["judge"]?["job"] != nil {
            places.append(JSONPointer(["benchmarks"]) / index / "grading" / "judge" / "model")
        }
        return places
    }

    private static func find(in value: JSONValue, as type: ValueType, at path: JSONPointer, _ places: inout [JSONPointer]) {
        switch type {
        case .dataset, .model, .weights, .evaluation, .path(_, .some):
            if value.string != nil { places.append(path) }
        case .nullable(let inner):
            if !value.isNull { find(in: value, as: inner, at: path, &places) }
        case .either(let types):
            if let fitting = SchemaCheck.fitting(value, types) { find(in: value, as: fitting, at: path, &places) }
        case .list(let element, _):
            for (index, member) in (value.array ?? []).enumerated() { find(in: member, as: element, at: path / index, &places) }
        case .object(let table):
            for key in table { if let member = value[key.name] { find(in: member, as: key.type, at: path / key.name, &places) } }
        case .map(_, let type):
            for (key, member) in value.object ?? [:] { find(in: member, as: type, at: path / key, &places) }
        case .steps(let steps):
            for (index, step) in (value.array ?? []).enumerated() {
                find(in: step, as: .object(steps), at: path / index, &places)
            }
        case .text, .name, .boolean, .integer, .number, .choice, .duration, .memory, .argument, .scalar, .httpURL, .resources, .gpuCount,
            .path(_, .none):
            break
        }
    }
}
