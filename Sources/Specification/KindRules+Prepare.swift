import JSON

extension KindRules {
    /// What is known of the records between two steps.
    private enum Shape: String {
        case unknown, jcqa, messages, preference, records
        case inputOutput = "input_output"
    }

    func checkPrepare() {
        checkSource()
        var shape = startShape
        let path = JSONPointer(["steps"])
        let steps = body["steps"]?.array ?? []
        for (index, step) in steps.enumerated() {
            guard let name = step.object?.keys.first else { continue }
            let place = path / index / name
            switch name {
            case "jcqa_rebalance": shape = advance(shape, from: .jcqa, to: .jcqa, place)
            case "jcqa_messages": shape = advance(shape, from: .jcqa, to: .messages, place)
            case "to_messages": shape = advance(shape, from: .inputOutput, to: .messages, place)
            case "render": shape = checkRender(step[name], place)
            case "math_sft":
                checkMath(step[name], place)
                shape = .inputOutput
            case "preference_pairs":
                checkPairs(step[name], place)
                shape = .preference
            case "extract_problems": shape = .records
            case "command": shape = .unknown
            case "correctness": checkSides(step[name], place)
            case "filters": checkFilters(step[name], place)
            case "reasoning_toggle":
                if step[name]?["only_pairs"]?.bool == true, step[name]?["off_share"]?.double ?? 0 > 0 {
                    check.fail(.conflict, place / "off_share", "cannot stand with 'only_pairs'")
                }
                shape = .messages
            case "split":
                if steps[(index + 1)...].contains(where: { $0["pack"] == nil }) {
                    check.fail(.conflict, place, "'split' must be the last step; only 'pack' may come after it", atKey: true)
                }
                checkSplit(step[name], place)
            case "pack": checkPack(step[name], shape, isLast: index == steps.count - 1, place)
            case "webdataset": checkShards(shape, isLast: index == steps.count - 1, place)
            default: break
            }
        }
        checkCompat(steps)
        if let limit = body["bad_records_max"], limit.int != nil, body["on_bad_record"]?.string != "drop" {
            check.fail(.conflict, JSONPointer(["bad_records_max"]), "stands only with 'on_bad_record: drop'", atKey: true)
        }
    }

    private func checkPack(_ pack: JSONValue?, _ shape: Shape, isLast: Bool, _ place: JSONPointer) {
        if !isLast { check.fail(.conflict, place, "'pack' must be the last step", atKey: true) }
        let isPaired = pack?["method"]?.string == "dpo"
        let needed: Shape = isPaired ? .preference : .messages
        if shape != .unknown, shape != needed {
            check.fail(
                .conflict, place,
                "method \(isPaired ? "dpo" : "sft") packs \(needed.rawValue) records; at this point they are \(shape.rawValue)", atKey: true
            )
        }
        guard let capacity = pack?["capacity"]?.int, let longest = pack?["max_length"]?.int else { return }
        if longest > capacity {
            check.fail(.conflict, place / "max_length", "is greater than the capacity, \(capacity)")
        } else if isPaired, capacity < 2 * longest {
            check.fail(
                .conflict, place / "capacity", "must be at least twice max_length, \(longest), as a bin holds both answers of a pair")
        }
    }

    private func checkShards(_ shape: Shape, isLast: Bool, _ place: JSONPointer) {
        if !isLast { check.fail(.conflict, place, "'webdataset' must be the last step", atKey: true) }
        if ![.unknown, .records].contains(shape) {
            check.fail(
                .conflict, place, "needs records with 'conversations' and 'image'; at this point they are \(shape.rawValue)", atKey: true)
        }
    }

    private func checkSource() {
        guard case .object(let source)? = body["source"] else { return }
        let path = JSONPointer(["source"])
        let kinds = ["file", "dataset", "url", "generator", "interleave"]
        let given = kinds.filter { source[$0] != nil }
        if given.isEmpty {
            check.fail(.required, path, "names no source: give one of \(kinds.joined(separator: ", "))", atKey: true)
        } else if given.count > 1 {
            check.fail(.conflict, path, "names several sources (\(given.joined(separator: ", "))); give one of them", atKey: true)
        }
        for (index, part) in (source["interleave"]?["sources"]?.array ?? []).enumerated()
        where part.object != nil && (part["file"] == nil) == (part["dataset"] == nil) {
            check.fail(.conflict, path / "interleave" / "sources" / index, "needs exactly one of file, dataset")
        }
        for key in ["sha256", "bytes_max"] where source[key] != nil && source["url"] == nil {
            check.fail(.conflict, path / key, "stands only with 'url'", atKey: true)
        }
        if let generator = source["generator"] { checkGenerator(generator, path / "generator") }
    }

    private func checkGenerator(_ generator: JSONValue, _ path: JSONPointer) {
        if let format = body["format"]?.string, format != "auto", format != Self.format(of: generator) {
            check.fail(.conflict, JSONPointer(["format"]), "differs from the generator's format; leave it out")
        }
        let settings = ["times_ten": ["start", "step", "format"], "refusals": ["start", "step", "marks", "rewards"]]
        guard let name = generator["name"]?.string else { return }
        let own = settings[name] ?? ["operations", "terms", "digits"]
        let all = Set(settings.values.joined()).union(["operations", "terms", "digits"])
        // Keys that no generator has were reported before.
        for key in generator.object?.keys ?? [] where all.contains(key) && !own.contains(key) {
            check.fail(.conflict, path / key, "is no setting of the generator '\(name)'", atKey: true)
        }
    }

    private static func format(of generator: JSONValue) -> String {
        switch generator["name"]?.string {
        case "refusals": "preference"
        case "arithmetic": "records"
        default: generator["format"]?.string ?? "messages"
        }
    }

    private var startShape: Shape {
        let generated = body["source"]?["generator"].map(Self.format)
        return (generated ?? body["format"]?.string).flatMap(Shape.init) ?? .unknown
    }

    private func advance(_ shape: Shape, from needed: Shape, to next: Shape, _ place: JSONPointer) -> Shape {
        if shape != .unknown, shape != needed {
            check.fail(.conflict, place, "needs \(needed.rawValue) records; at this point they are \(shape.rawValue)", atKey: true)
        }
        return next
    }

    private func checkSplit(_ split: JSONValue?, _ place: JSONPointer) {
        let parts = ["train", "validation", "test"].compactMap { split?[$0] }
        let fractions = parts.compactMap { part in if case .double(let number) = part { number } else { nil } }
        guard fractions.count == parts.count else {
            if !fractions.isEmpty {
                check.fail(.conflict, place, "mixes shares and numbers of records; give all as shares or all as numbers")
            }
            return
        }
        // Shares such as 0.7 + 0.2 + 0.1 add up to a little more than 1 in binary.
        let sum = fractions.reduce(0, +)
        if sum > 1 + 1e-9 { check.fail(.conflict, place, "the shares add up to \(sum); they must not exceed 1") }
    }

    private func checkCompat(_ steps: [JSONValue]) {
        guard body["compat"]?.string == "seed" else { return }
        let path = JSONPointer(["compat"])
        let names = steps.compactMap { $0.object?.keys.first }
        let allowed = ["jcqa_rebalance", "jcqa_messages", "split", "pack"]
        if let other = names.first(where: { !allowed.contains($0) }) {
            check.fail(.conflict, path, "reproduces only the steps \(allowed.joined(separator: ", ")), not '\(other)'")
        } else if !names.contains("jcqa_rebalance"), !names.contains("jcqa_messages") {
            check.fail(.conflict, path, "reproduces the jcqa steps, and the job has none")
        }
    }

    private func checkRender(_ render: JSONValue?, _ place: JSONPointer) -> Shape {
        if (render?["prompt"] == nil) == (render?["user"] == nil) {
            check.fail(.conflict, place, "needs either 'prompt' or 'user'", atKey: true)
        }
        let target = render?["to"]?.string ?? "messages"
        if render?["marks"] != nil, target != "input_output" {
            check.fail(.conflict, place / "marks", "stands only with 'to: input_output'")
        }
        if render?["few_shot"] != nil, render?["user"]?.string?.contains("{examples}") != true {
            check.fail(.conflict, place / "few_shot", "needs the place {examples} in the user's text")
        }
        return Shape(rawValue: target) ?? .records
    }

    private func checkMath(_ math: JSONValue?, _ place: JSONPointer) {
        checkSides(math, place)
        if (math?["downsampling_method"] == nil) != (math?["num_output_samples"] == nil) {
            check.fail(.conflict, place, "'downsampling_method' and 'num_output_samples' stand only together", atKey: true)
        }
        if math?["marks"] == nil, math?["system"] != nil {
            check.fail(.conflict, place / "system", "needs 'marks': without them nothing tells the system text from the problem")
        }
        checkFilters(math?["filters"] ?? [:], math?["filters"] == nil ? place : place / "filters")
    }

    private func checkSides(_ step: JSONValue?, _ place: JSONPointer) {
        if step?["add_correct"]?.bool == false, step?["add_incorrect"]?.bool != true {
            check.fail(.conflict, place / "add_correct", "'add_correct' and 'add_incorrect' cannot both be false")
        }
    }

    private func checkFilters(_ filters: JSONValue?, _ place: JSONPointer) {
        let removesContaminated = filters?["remove_contaminated"]?.bool ?? (filters?["defaults"]?.string == "seed")
        if removesContaminated, filters?["contamination_file"] == nil {
            check.fail(.required, place, "'contamination_file' is missing: 'remove_contaminated' needs it", atKey: true)
        }
        for (what, longest) in [("problem", 1024), ("solution", 2048)] {
            guard filters?["remove_len_outlier_\(what)s"]?.bool == true else { continue }
            if filters?["length_unit"] == nil {
                check.fail(.required, place, "'length_unit' is missing: 'remove_len_outlier_\(what)s' needs it", atKey: true)
            }
            let most = filters?["max_\(what)_length"]?.int ?? longest
            if let least = filters?["min_\(what)_length"]?.int, least > most {
                check.fail(.conflict, place / "min_\(what)_length", "is greater than the maximum, \(most)")
            }
        }
    }

    private func checkPairs(_ pairs: JSONValue?, _ place: JSONPointer) {
        if pairs?["choose"]?.string == "extremes", pairs?["score_key"] == nil {
            check.fail(.conflict, place / "choose", "'extremes' needs 'score_key'")
        }
    }
}
