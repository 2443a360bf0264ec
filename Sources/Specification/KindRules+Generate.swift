import Domain
import JSON

extension KindRules {
    func checkGenerate() {
        if body["merge"] != nil { return checkMerge() }
        for key in ["server", "dataset"] where body[key] == nil {
            check.fail(.required, JSONPointer(), "'\(key)' is missing", atKey: true)
        }
        checkGenerateServer()
        checkSeeds()
        checkChunks()
        if body["reasoning_end"] != nil, body["parse_reasoning"]?.bool != true {
            check.fail(.conflict, JSONPointer(["reasoning_end"]), "stands only with 'parse_reasoning: true'", atKey: true)
        }
        let own = ["model", "messages", "prompt", "stream", "seed"]
        for key in body["extra"]?.object?.keys ?? [] where own.contains(key) {
            check.fail(.conflict, JSONPointer(["extra", key]), "'\(key)' is set by Anneal itself", atKey: true)
        }
    }

    private func checkMerge() {
        let asking = ["server", "dataset", "chunks", "chunk", "samples", "seeds", "prompt"]
        for key in asking where body[key] != nil {
            check.fail(.conflict, JSONPointer([key]), "cannot stand beside 'merge', which asks no model", atKey: true)
        }
    }

    private func checkGenerateServer() {
        guard case .object(let server)? = body["server"] else { return }
        let path = JSONPointer(["server"])
        checkServer(body["server"], at: path, startKeys: ["replicas"], urlKeys: ["model", "api_key_env"])
        if let replicas = server["replicas"]?.int, replicas > 1, resources.gpus > 0, resources.gpus % replicas != 0 {
            check.fail(.conflict, path / "replicas", "\(resources.gpus) GPUs cannot be shared evenly by \(replicas) servers")
        }
        checkServedModel()
    }

    private func checkSeeds() {
        if body["samples"] != nil, body["seeds"] != nil {
            check.fail(.conflict, JSONPointer(["samples"]), "stands beside 'seeds'; give one of them", atKey: true)
        }
        if body["starting_seed"] != nil, body["samples"] == nil {
            check.fail(.conflict, JSONPointer(["starting_seed"]), "stands only with 'samples'", atKey: true)
        }
        let seeds = GenerationSeeds.of(body)
        if body["seeds"] != nil, body["samples"] == nil {
            if seeds == nil {
                check.fail(.badValue, JSONPointer(["seeds"]), "must be a list of seeds, or a text such as '0,3' or '0..4'")
            } else if let seeds, Set(seeds).count != seeds.count {
                check.fail(.conflict, JSONPointer(["seeds"]), "names a seed twice")
            }
        }
        if let seeds, seeds.count > 1, body["temperature"]?.double == 0 {
            check.fail(
                .conflict, JSONPointer(["temperature"]),
                "\(seeds.count) generations at temperature 0 are the same text; raise it or take one")
        }
    }

    private func checkChunks() {
        guard let chunk = body["chunk"]?.int else {
            // Chunks became jobs with a 'chunk' each, but for those of a matrix.
            guard body["chunks"] != nil else { return }
            return check.fail(
                .conflict, JSONPointer(["chunks"]), "cannot stand beside 'matrix'; name the 'chunk' in the matrix", atKey: true)
        }
        guard let chunks = body["chunks"]?.int else {
            return check.fail(.conflict, JSONPointer(["chunk"]), "stands only with 'chunks'", atKey: true)
        }
        if chunk >= chunks { check.fail(.badValue, JSONPointer(["chunk"]), "the chunks are numbered from 0 to \(chunks - 1)") }
    }
}

/// The seeds that a job of kind `generate` asks for.
public enum GenerationSeeds {
    /// `nil` for a greedy run, and where they cannot be read.
    public static func of(_ body: JSONObject) -> [Int]? {
        if let samples = body["samples"]?.int {
            let first = body["starting_seed"]?.int ?? 0
            return (1...SeedList.countMax).contains(samples) ? Array(first..<(first + samples)) : nil
        }
        switch body["seeds"] {
        case .string(let text)?: return SeedList.parse(text)
        case .array(let list)?:
            let seeds = list.compactMap(\.int)
            return seeds.count == list.count ? seeds : nil
        case let one?: return one.int.map { [$0] }
        case nil: return nil
        }
    }

    /// The names of the outputs that a job of kind `generate` makes.
    static func outputs(_ body: JSONObject) -> [(name: String, type: ArtifactType?)] {
        var names = ["generations"]
        if let seeds = of(body), seeds.count > 1 { names += seeds.map { "rs\($0)" } }
        if let merge = body["merge"]?.object { names += merge.keys.filter { $0 != "generations" } }
        let failed: [(name: String, type: ArtifactType?)] = (body["max_failed"]?.int ?? 0) > 0 ? [("failed", .file)] : []
        return names.map { ($0, .dataset) } + failed
    }
}
