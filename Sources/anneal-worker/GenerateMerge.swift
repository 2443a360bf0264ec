import Datasets
import JSON

/// Puts the generations of several jobs together, in the order in which they are named.
struct GenerateMerge {
    let context: WorkerContext

    /// Writes the files and gives the content of outputs.json. Each is written under a temporary name and renamed, so that a killed
    /// merge leaves nothing half done, and another attempt does the same again.
    func run() throws -> JSONObject {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        let merge = try spec.fields("merge")
        var outputs = JSONObject()
        var rows = 0
        var paths: [String] = []
        for name in merge.members.keys {
            let parts = try merge.strings(name)
            guard !parts.isEmpty, parts.allSatisfy({ $0.hasPrefix("/") }) else { throw merge.failure(name, "names no files") }
            let file = try GenerateOutputs.join(
                parts, to: "\(context.outputFolder)/\(name == "generations" ? "output" : "output-\(name)").jsonl")
            WorkerLog.line("\(name): \(file.rows) records of \(parts.count) parts")
            outputs[name] = GenerateOutputs.output(file)
            paths.append(file.path)
            rows += file.rows
        }
        if outputs["generations"] == nil {
            outputs["generations"] = GenerateOutputs.output(
                try GenerateOutputs.join(paths, to: context.outputFolder + "/generations.jsonl"))
        }
        return ["outputs": .object(outputs), "summary": ["generations": .int(Int64(rows))]]
    }
}
