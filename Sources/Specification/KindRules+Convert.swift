import JSON

/// What a convert job is for. Those between the first and the last run a program that the spec names, and look at what it left.
enum ConvertEngine: String, CaseIterable {
    case transformers
    case nemo
    case tensorrtLLM = "tensorrt-llm"
    case megatron
    /// NeMo RL's own converters of its checkpoints.
    case nemoRL = "nemo-rl"

    /// The layouts that a program may write: that of its engine, or Hugging Face's.
    static let layouts = ["hf"] + allCases.filter(\.runsProgram).map(\.rawValue)

    var runsProgram: Bool { self != .transformers && self != .nemoRL }
}

// Jobs of kind `convert`.
extension KindRules {
    /// The keys that say what there is to convert; exactly one of them stands in a job.
    private static let convertSources = ["create", "model", "average"]
    private static let creationKeys = ["tokenizer", "chat_template", "seed"]
    private static let changeKeys = ["merge_lora", "prune", "dtype", "max_shard_size", "files_from", "export"]
    private static let programKeys = ["command", "to"]
    private static let checkoutKeys = ["root", "launcher"]

    func checkConvert() {
        // An engine of another name was reported as one.
        let engine = body["engine"].map { $0.string.flatMap(ConvertEngine.init) } ?? .transformers
        guard let engine else { return }
        if engine == .nemoRL { return checkCheckout() }
        refuse(Self.checkoutKeys, "stands only with the engine nemo-rl")
        if engine.runsProgram { return checkProgram(of: engine) }
        refuse(
            Self.programKeys,
            "stands only with an 'engine' that runs a program: \(ConvertEngine.layouts.dropFirst().joined(separator: ", "))")
        let given = Self.convertSources.filter { body[$0] != nil }
        guard given.count == 1 else {
            if given.isEmpty {
                let detail = "'create' is missing, or 'model', or 'average': a model is made, is there, or is the mean of several"
                return check.fail(.required, JSONPointer(), detail, atKey: true)
            }
            let detail = "stands beside '\(given[0])'; a model is made, is there, or is the mean of several: give one of them"
            return check.fail(.conflict, JSONPointer([given[1]]), detail, atKey: true)
        }
        if given[0] == "create" {
            refuse(Self.changeKeys, "stands only with 'model' or 'average'")
            if body["tokenizer"] == nil {
                check.fail(.required, JSONPointer(), "'tokenizer' is missing: the tokenizer of the model that is created", atKey: true)
            }
            return checkSizes()
        }
        refuse(Self.creationKeys, "stands only with 'create'")
        if given[0] == "average" { refuse(["merge_lora"], "stands only with 'model'; average first, and merge in a job of its own") }
        checkModel(body["model"], at: JSONPointer(["model"]))
        if body["max_shard_size"].flatMap(Quantity.bytes) == 0 {
            check.fail(.conflict, JSONPointer(["max_shard_size"]), "must be above zero")
        }
        checkAdapter()
        checkAverage()
        let changes = Self.changeKeys.contains { body[$0] != nil }
        if given[0] == "model", !changes {
            let keys = Self.changeKeys.map { "'\($0)'" }.joined(separator: ", ")
            check.fail(.conflict, JSONPointer(), "says nothing of what becomes of the model: give one of \(keys)", atKey: true)
        }
    }

    private func checkProgram(of engine: ConvertEngine) {
        let isExport = body["to"]?.string == "hf"
        let changes = isExport ? Self.changeKeys.filter { !["files_from", "export"].contains($0) } : Self.changeKeys
        refuse(Self.convertSources.filter { $0 != "model" } + Self.creationKeys, "stands only with the engine transformers")
        refuse(changes, "stands only with the engine transformers\(isExport ? "" : "; 'export' and 'files_from' stand also with 'to: hf'")")
        let namesNothing = Self.convertSources.allSatisfy { body[$0] == nil }
        for key in ["model", "command"] where body[key] == nil {
            check.fail(
                namesNothing ? .required : .conflict, JSONPointer(),
                "'\(key)' is missing: the engine \(engine.rawValue) runs a program on a model", atKey: true)
        }
        if let layout = body["to"]?.string, layout != "hf", layout != engine.rawValue, ConvertEngine(rawValue: layout) != nil {
            check.fail(.conflict, JSONPointer(["to"]), "the engine \(engine.rawValue) writes its own layout, or hf")
        }
        guard let arguments = body["command"]?.array else { return }
        for name in ["{model}", "{output}"] where !arguments.contains(where: { $0.string?.contains(name) ?? false }) {
            let what = name == "{model}" ? "reads the model" : "writes its result"
            check.fail(.conflict, JSONPointer(["command"]), "has no argument with \(name), the folder where the program \(what)")
        }
    }

    private func checkCheckout() {
        let others = Self.convertSources.filter { $0 != "model" } + Self.creationKeys + Self.changeKeys + Self.programKeys
        refuse(others, "stands not with the engine nemo-rl, which turns one checkpoint into a model in Hugging Face's format")
        for key in ["model", "root"] where body[key] == nil {
            let what = key == "model" ? "the checkpoint step_N that becomes a model" : "the folder of the NeMo RL checkout"
            check.fail(.conflict, JSONPointer(), "'\(key)' is missing: \(what)", atKey: true)
        }
        if let root = body["root"]?.string, root.hasPrefix("/"), check.world.kind(at: root) == .directory,
            check.world.kind(at: "\(root)/\(NemoRLExport.script)") != .file
        {
            check.fail(.missingFile, JSONPointer(["root"]), "'\(root)' has no \(NemoRLExport.script): it is no checkout of NeMo RL")
        }
        if let folder = body["model"]?.string, folder.hasPrefix("/"), check.world.kind(at: folder) == .directory,
            check.world.kind(at: folder + "/training_info.json") != .file
        {
            check.fail(.missingFile, JSONPointer(["model"]), "'\(folder)' is no checkpoint of NeMo RL: it has no training_info.json")
        }
    }

    private func refuse(_ keys: [String], _ why: String) {
        for key in keys where body[key] != nil { check.fail(.conflict, JSONPointer([key]), why, atKey: true) }
    }

    /// A path must be a model in Hugging Face's format. What a reference or an id names is looked at by the worker.
    private func checkModel(_ value: JSONValue?, at path: JSONPointer) {
        guard let folder = value?.string, folder.hasPrefix("/"), check.world.kind(at: folder) == .directory else { return }
        if check.world.kind(at: folder + "/config.json") != .file {
            check.fail(.missingFile, path, "'\(folder)' is no model: it has no config.json")
        }
    }

    private func checkAdapter() {
        let names = ["adapter_config.json", "adapter/adapter_config.json", "policy/weights/model/adapter_config.json"]
        guard let folder = body["merge_lora"]?["adapter"]?.string, folder.hasPrefix("/"), check.world.kind(at: folder) == .directory,
            !names.contains(where: { check.world.kind(at: folder + "/" + $0) == .file })
        else { return }
        check.fail(
            .missingFile, JSONPointer(["merge_lora", "adapter"]), "'\(folder)' is no adapter: it has neither \(names[0]) nor \(names[1])")
    }

    private func checkAverage() {
        guard case .object(let average)? = body["average"] else { return }
        let path = JSONPointer(["average"])
        let orders = CheckpointSelection.Order.allCases.map(\.rawValue).filter { average[$0] != nil }
        if let text = average["checkpoints"]?.string {
            if CheckpointSelection.token(text) == nil {
                check.fail(
                    .badValue, path / "checkpoints",
                    "must be '${job.checkpoints}' with the name of a training, or a list of models, not '\(text)'")
            }
            if orders.count != 1 {
                let detail =
                    orders.isEmpty ? "says not which of the training's checkpoints: give 'last' or 'best'" : "has both 'last' and 'best'"
                check.fail(.conflict, path, detail, atKey: true)
            }
            if average["weights"] != nil {
                check.fail(.conflict, path / "weights", "stands only with a list of models", atKey: true)
            }
        } else if case .array(let models)? = average["checkpoints"] {
            for order in orders {
                check.fail(.conflict, path / order, "stands only with '${job.checkpoints}'; the models of a list all count", atKey: true)
            }
            for index in models.indices { checkModel(models[index], at: path / "checkpoints" / index) }
            for index in models.indices where models[index].string.flatMap(CheckpointSelection.token) != nil {
                let detail = "'${job.checkpoints}' stands for several; write it in the place of the whole list, with 'last' or 'best'"
                check.fail(.conflict, path / "checkpoints" / index, detail)
            }
            if let weights = average["weights"]?.array, weights.count != models.count {
                check.fail(.conflict, path / "weights", "has \(weights.count) numbers for \(models.count) models")
            }
        }
    }

    /// The sizes of a model that is made.
    private func checkSizes() {
        let path = JSONPointer(["create"])
        let create = body["create"]
        guard let hidden = create?["hidden_size"]?.int, let heads = create?["num_attention_heads"]?.int, hidden > 0, heads > 0 else {
            return
        }
        if hidden % heads != 0 {
            check.fail(.conflict, path / "hidden_size", "\(hidden) is not a multiple of num_attention_heads, \(heads)")
        } else if hidden / heads % 2 != 0 {
            check.fail(
                .conflict, path / "hidden_size",
                "\(hidden) / \(heads) heads gives heads of the odd size \(hidden / heads); rotary embeddings need an even one")
        }
        if let keyValue = create?["num_key_value_heads"]?.int, keyValue > 0, heads % keyValue != 0 {
            check.fail(.conflict, path / "num_key_value_heads", "num_attention_heads, \(heads), is not a multiple of \(keyValue)")
        }
    }
}
