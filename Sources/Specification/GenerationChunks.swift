import JSON

/// Turns a job of kind `generate` with `chunks` into one job for each chunk and one that puts them together under the job's own name.
enum GenerationChunks {
    struct Part {
        var name: String
        var group: String?
        var body: JSONObject
    }

    /// Keys that the job that merges takes over.
    private static let mergeKeys: Set<String> = ["kind", "description", "priority", "retry", "cache", "env", "workdir"]

    /// `nil` for a job that stays one.
    static func parts(of name: String, _ body: JSONObject) -> [Part]? {
        guard body["kind"]?.string == "generate", body["chunk"] == nil, body["merge"] == nil, let count = body["chunks"]?.int,
            (1...1000).contains(count)
        else { return nil }
        let chunks = (0..<count).map { index in
            var part = body
            part["chunk"] = .int(Int64(index))
            return Part(name: "\(name)-chunk-\(index)", group: "\(name)-chunks", body: part)
        }
        var merge = body.filter { mergeKeys.contains($0.key) }
        let seeds = GenerationSeeds.of(body) ?? []
        let outputs = seeds.count > 1 ? seeds.map { "rs\($0)" } : ["generations"]
        let lists = outputs.map { output in
            (output, JSONValue.array(chunks.map { .string("${\($0.name).\(output)}") }))
        }
        merge["merge"] = .object(JSONObject(lists, uniquingKeysWith: { first, _ in first }))
        return chunks + [Part(name: name, group: nil, body: merge)]
    }
}
