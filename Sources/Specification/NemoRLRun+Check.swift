import JSON

// What is wrong with a configuration before it runs.
extension NemoRLRun {
    /// Checks the configuration below, lays the run's own over it, applies the overrides, and checks the whole.
    ///
    /// - Parameters:
    ///   - checkout: the checkout's own configuration, whose keys are known whatever the tables say.
    ///   - isRead: the configuration below could be read.
    ///   - isOwn: it is the user's.
    mutating func check(against checkout: NemoRLConfig?, isRead: Bool, isOwn: Bool) {
        let tree = NemoRLKeys.tree(algorithm, layout)
        if isOwn, isRead {
            checkKeys(.object(config.value), tree, checkout, at: [])
            if algorithm.trains, layout == .new, config.at(["data", "train"]) == nil, overlay["data"]?["train"] == nil {
                let detail = "'data.train' is missing: NeMo RL since \(NemoRLKeys.change(of: algorithm)) refuses to start without it"
                fail(.required, ["data"], detail, overridden: [:])
            }
        }
        for path in config.clashes {
            let detail = "'\(path.joined(separator: "."))': OmegaConf lays neither a list over a mapping nor a mapping over a list"
            fail(.wrongType, path, detail, overridden: [:])
        }
        let told = config.clashes.count
        config.lay(NemoRLConfig(value: overlay.object ?? [:]))
        for path in config.clashes.dropFirst(told) {
            let name = path.joined(separator: ".")
            let detail = "'\(name)' has another form here than what the job's own keys make of it, a list or a mapping: set one of the two"
            fail(.conflict, path, detail, overridden: [:])
        }
        for path in Self.leaves(overlay, at: []) { config.origins[path] = nil }
        var overridden: [[String]: Int] = [:]
        for (index, text) in overrides.enumerated() { apply(text, index, isRead ? nil : tree, &overridden) }
        guard isRead else { return }
        checkReferences(.object(config.value), at: [], overridden)
        checkRules(overridden)
    }

    private static func leaves(_ value: JSONValue, at path: [String]) -> [[String]] {
        guard case .object(let members) = value else { return [path] }
        return members.flatMap { leaves($0.value, at: path + [$0.key]) }
    }

    /// Notes a mistake at a place of the configuration: at the override that set it, else at its line of its file.
    private mutating func fail(_ code: SpecError.Code, _ path: [String], _ detail: String, overridden: [[String]: Int]) {
        for count in stride(from: path.count, through: 1, by: -1) {
            guard let index = overridden[Array(path.prefix(count))] else { continue }
            return problems.append(NemoRLProblem(code: code, pointer: JSONPointer(["overrides"]) / index, detail: detail))
        }
        for count in stride(from: path.count, through: 1, by: -1) {
            guard let origin = config.origins[Array(path.prefix(count))] else { continue }
            let pointer = JSONPointer([origin.file.hasPrefix(root + "/") ? "root" : "config"])
            return problems.append(NemoRLProblem(code: code, pointer: pointer, detail: "\(origin.text): \(detail)"))
        }
        problems.append(NemoRLProblem(code: code, pointer: JSONPointer(), detail: detail))
    }

    // MARK: Keys

    private mutating func checkKeys(_ value: JSONValue, _ tree: NemoRLKeyTree, _ checkout: NemoRLConfig?, at path: [String]) {
        guard case .object(let members) = value, tree.isMapping, !tree.isOpen else { return }
        for (key, member) in members {
            let place = path + [key]
            if let child = tree.children[key] {
                checkKeys(member, child, checkout, at: place)
                continue
            }
            // What a checkout's own files have, that checkout knows.
            let isTheirs = config.origins[place].map { $0.file.hasPrefix(root + "/") } ?? false
            if isTheirs || checkout?.at(place) != nil || (path.isEmpty && isVariable(key)) { continue }
            if let moved = moved(place) {
                fail(.unknownKey, place, moved, overridden: [:])
            } else if key == "_override_" {
                fail(
                    .badValue, place, "'_override_' works in the sections of the root alone; here NeMo RL takes it for a key",
                    overridden: [:])
            } else {
                fail(.unknownKey, place, unknown(place, tree), overridden: [:])
            }
        }
    }

    /// Whether a key of the root is a variable of the user's own, which other values refer to.
    private func isVariable(_ key: String) -> Bool {
        let text = JSONValue.object(config.value).description
        return ["${\(key)}", "${\(key)."].contains { text.contains($0) }
    }

    private func unknown(_ path: [String], _ tree: NemoRLKeyTree) -> String {
        let (name, key) = (path.joined(separator: "."), path.last ?? "")
        let whole = NemoRLKeys.tree(algorithm, layout)
        if let near = Spelling.nearest(to: key, among: tree.children.keys.sorted()) {
            return "unknown key '\(name)' (did you mean '\((path.dropLast() + [near]).joined(separator: "."))'?)"
        }
        let elsewhere = whole.places(of: key)
        if elsewhere.count == 1 { return "unknown key '\(name)'; there is '\(elsewhere[0])'" }
        if !algorithm.trains { return "unknown key '\(name)': an evaluation would pass over it" }
        return "unknown key '\(name)' for \(algorithm.rawValue); if your NeMo RL knows it, give it by overrides: [\"+\(name)=…\"]"
    }

    /// What became of a key of the other layout; `nil` where it is none.
    private func moved(_ path: [String]) -> String? {
        guard path.count >= 2, path[0] == "data", algorithm.trains,
            let key = NemoRLKeys.moved(to: layout, algorithm).first(where: { $0.key == path[1] })
        else { return nil }
        let change = NemoRLKeys.change(of: algorithm)
        switch layout {
        case .new: return "'data.\(key.key)' moved with \(change): write \(key.instead)"
        case .old: return "'data.\(key.key)' came with \(change), and this NeMo RL is older: write \(key.instead)"
        }
    }

    // MARK: Overrides

    private mutating func apply(_ text: String, _ index: Int, _ unread: NemoRLKeyTree?, _ overridden: inout [[String]: Int]) {
        let pointer = JSONPointer(["overrides"]) / index
        do throws(NemoRLOverride.Failure) {
            let override = try NemoRLOverride(text, isDotList: !algorithm.trains)
            if let owner = Self.owned.first(where: { override.path.starts(with: $0) || $0.starts(with: override.path) }) {
                throw NemoRLOverride.Failure(code: .conflict, detail: "'\(owner.joined(separator: "."))' is set by Anneal itself")
            }
            if override.action == .set, config.at(override.path) == nil, let moved = moved(override.path) {
                throw NemoRLOverride.Failure(code: .unknownKey, detail: moved)
            }
            try checkDotListKey(override)
            try override.apply(to: &config, unread: unread)
            overridden[override.path] = index
        } catch {
            problems.append(NemoRLProblem(code: error.code, pointer: pointer, detail: error.detail))
        }
    }

    /// An evaluation takes any key, and passes over those that it does not know.
    private func checkDotListKey(_ override: NemoRLOverride) throws(NemoRLOverride.Failure) {
        let tree = NemoRLKeys.tree(algorithm, layout)
        guard !algorithm.trains, config.at(override.path) == nil, tree[override.path] == nil else { return }
        let known = tree[override.path.dropLast()] ?? tree
        throw NemoRLOverride.Failure(code: .unknownKey, detail: unknown(override.path, known))
    }

    /// Keys that decide where the daemon finds checkpoints and curves.
    private static let owned = [
        ["checkpointing", "checkpoint_dir"], ["logger", "log_dir"], ["logger", "tensorboard_enabled"], ["eval", "save_path"],
    ]

    // MARK: Values

    private mutating func checkReferences(_ value: JSONValue, at path: [String], _ overridden: [[String]: Int]) {
        switch value {
        case .object(let members): for (key, member) in members { checkReferences(member, at: path + [key], overridden) }
        case .array(let elements):
            for (index, element) in elements.enumerated() { checkReferences(element, at: path + [String(index)], overridden) }
        case .string(let text):
            guard text.contains("${"), let detail = NemoRLInterpolation(config: config).problem(in: text, at: path) else { return }
            fail(.unknownReference, path, detail, overridden: overridden)
        default: break
        }
    }

    /// What NeMo RL's programs assert when they start, or regret at the end.
    private mutating func checkRules(_ overridden: [[String]: Int]) {
        let reader = NemoRLInterpolation(config: config)
        func value(_ path: String) -> JSONValue? { reader.resolved(path.split(separator: ".").map(String.init)) }
        func refuse(_ path: String, _ detail: String) {
            fail(.conflict, path.split(separator: ".").map(String.init), detail, overridden: overridden)
        }
        if let metric = value("checkpointing.metric_name")?.string, !metric.hasPrefix("train:"), !metric.hasPrefix("val:") {
            refuse("checkpointing.metric_name", "the metric '\(metric)' must begin with 'train:' or 'val:'")
        }
        if let limit = value("checkpointing.checkpoint_must_save_by"), !limit.isNull, !Self.isSpan(limit.string ?? "") {
            refuse("checkpointing.checkpoint_must_save_by", "'checkpoint_must_save_by' must be a quoted DD:HH:MM:SS, not \(limit)")
        }
        let packs = value("policy.sequence_packing.enabled")?.bool == true
        let isDynamic = value("policy.dynamic_batching.enabled")?.bool == true
        if packs, isDynamic { refuse("policy.dynamic_batching.enabled", "dynamic batching and sequence packing exclude each other") }
        if algorithm == .dpo, packs || isDynamic {
            let key = packs ? "policy.sequence_packing.enabled" : "policy.dynamic_batching.enabled"
            refuse(key, "NeMo RL's DPO runs neither with sequence packing nor with dynamic batching")
        }
        checkExport()
        // A part of the training data, or of one of several, may be split off instead.
        let splitsOff = value("data.train")?.array != nil || value("data.train.split_validation_size")?.double ?? 0 > 0
        let hasValidation = layout == .old || splitsOff || value("data.validation").map { !$0.isNull } ?? false
        if algorithm == .sft, !hasValidation, let period = value("sft.val_period")?.int, period > 0 {
            refuse("sft.val_period", "'sft.val_period' must be 0 or less where there is no data.validation")
        }
        if algorithm == .eval, let samples = value("eval.num_tests_per_prompt")?.int {
            if let k = value("eval.k_value")?.int, samples < k { refuse("eval.k_value", "needs 'num_tests_per_prompt' of at least \(k)") }
            if samples > 1, value("generation.temperature")?.double == 0 {
                refuse("generation.temperature", "\(samples) answers at temperature 0 are the same; raise it")
            }
        }
    }

    /// Adapters that NeMo RL's converters to Hugging Face's format do not read.
    private mutating func checkExport() {
        let reader = NemoRLInterpolation(config: config)
        func isOn(_ path: String) -> Bool { reader.resolved(path.split(separator: ".").map(String.init))?.bool == true }
        guard exports else { return }
        let isMegatron = isOn("policy.megatron_cfg.enabled")
        let saved =
            isMegatron
            ? isOn("policy.megatron_cfg.peft.enabled") : isOn("policy.dtensor_cfg._v2") && isOn("policy.dtensor_cfg.lora_cfg.enabled")
        guard saved else { return }
        let merging = isMegatron ? "NeMo RL's convert_lora_to_hf.py" : "a convert job with 'merge_lora'"
        let detail =
            "this NeMo RL saves the adapter alone, which becomes no model by itself: set 'export: none', and merge it by \(merging)"
        problems.append(NemoRLProblem(code: .conflict, pointer: JSONPointer(["export"]), detail: detail))
    }

    private static func isSpan(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isNumber) }
    }
}

extension NemoRLKeyTree {
    /// The dotted paths at which a key of this name is known.
    func places(of key: String) -> [String] {
        children.sorted { $0.key < $1.key }.flatMap { name, child in
            (name == key ? [name] : []) + child.places(of: key).map { "\(name).\($0)" }
        }
    }
}
