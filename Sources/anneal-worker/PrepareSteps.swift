import Datasets
import JSON

/// Reads the steps of a `prepare` job.
struct PrepareStepReader {
    /// The file that the daemon resolved for a place of the spec.
    let inputs: (JSONPointer) -> String?

    /// The steps that one entry stands for; `math_sft` stands for several.
    func steps(_ value: JSONValue, at pointer: JSONPointer) throws(WorkerFailure) -> [PreparationStep] {
        let entry = try RequestFields(value, at: pointer)
        guard entry.members.count == 1, let name = entry.members.keys.first else {
            throw .badRequest(pointer.description, "must be a map with one key, the step's name")
        }
        if name == "command" { return [.command(try command(entry))] }
        // A step without settings may be written without a value.
        let settings = entry.has(name) ? try entry.fields(name) : try RequestFields([:], at: pointer / name)
        switch name {
        case "math_sft": return try mathSFT(settings)
        case "render": return [.render(try rendering(settings))]
        default: return [try simple(name, settings, entry)]
        }
    }

    private func simple(_ name: String, _ settings: RequestFields, _ entry: RequestFields) throws(WorkerFailure) -> PreparationStep {
        let seed = try settings.int("seed") ?? 42
        switch name {
        case "jcqa_rebalance": return .rebalanceJCQA(seed: seed)
        case "jcqa_messages": return .convertJCQA
        case "to_messages": return .toMessages(system: try settings.string("system"))
        case "shuffle": return .shuffle(seed: seed)
        case "sample": return .sample(count: try settings.count("count"), seed: seed)
        case "split": return .split(DatasetSplit(parts: try parts(settings), seed: seed))
        case "correctness": return .correctness(try grade(settings, addsSides: true))
        case "filters": return .filters(try filters(settings))
        case "dedupe": return .dedupe(try deduplication(settings))
        case "downsample": return .downsample(try downsampling(settings))
        case "code_text":
            let mode = try settings.required("mode", CodeTextFilter.Mode.self)
            return .codeText(
                CodeTextFilter(
                    mode: mode, marker: try settings.string("marker") ?? "<tool_call>",
                    inputKey: try settings.string("input_key") ?? "problem", outputKey: try settings.string("output_key") ?? "generation"))
        case "extract_problems":
            return .extractProblems(
                ProblemExtraction(
                    generationKey: try settings.string("generation_key") ?? "generation",
                    keepsPreamble: try settings.bool("keep_preamble") ?? false))
        case "preference_pairs": return .preferencePairs(try pairing(settings))
        case "pass_rate": return .passRate(try passRate(settings))
        case "curriculum":
            return .curriculum(
                Curriculum(
                    batchSize: try settings.count("batch_size"), batches: try settings.int("batches", in: 1...Int.max),
                    width: try settings.double("width", in: 1e-3...10) ?? 0.125, levels: try settings.int("levels", in: 1...1000),
                    rateKey: try settings.string("rate_key") ?? "pass_rate", seed: seed))
        case "reasoning_toggle": return .reasoningToggle(try toggle(settings))
        case "decontaminate": return .decontaminate(try decontamination(settings))
        default: throw entry.failure(name, "there is no such step")
        }
    }

    /// Integers are numbers of records, numbers with a point are shares of all.
    private func parts(_ settings: RequestFields) throws(WorkerFailure) -> [DatasetSplit.Part] {
        var parts: [DatasetSplit.Part] = []
        for name in ["train", "validation", "test"] {
            switch settings.members[name] {
            case nil, .null?:
                if name != "test" { throw settings.failure(name, "is missing") }
            case .int(let count)? where count > 0: parts.append(.init(name: name, size: .count(Int(count))))
            case .double(let share)? where share > 0 && share <= 1: parts.append(.init(name: name, size: .fraction(share)))
            default: throw settings.failure(name, "must be a number of records or a share above 0 and at most 1")
            }
        }
        let counts = parts.count { if case .count = $0.size { true } else { false } }
        guard counts == 0 || counts == parts.count else {
            throw .badRequest(settings.pointer.description, "mixes shares and numbers of records; give all as shares or all as numbers")
        }
        let shares = parts.reduce(0.0) { sum, part in if case .fraction(let share) = part.size { sum + share } else { sum } }
        guard shares <= 1 + 1e-9 else { throw .badRequest(settings.pointer.description, "the shares add up to \(shares)") }
        return parts
    }

    func grade(_ settings: RequestFields, addsSides: Bool = false) throws(WorkerFailure) -> CorrectnessSelection {
        var grade = CorrectnessSelection()
        grade.field = try settings.string("correct_key")
        grade.useJudgement = try settings.bool("use_judgement") ?? false
        guard addsSides else { return grade }
        grade.addCorrect = try settings.bool("add_correct") ?? true
        grade.addIncorrect = try settings.bool("add_incorrect") ?? false
        grade.addUnlabeled = try settings.bool("add_unlabeled") ?? false
        grade.skipFirst = try settings.int("skip_first", in: 0...Int.max) ?? 0
        guard grade.addCorrect || grade.addIncorrect else {
            throw .badRequest(settings.pointer.description, "'add_correct' and 'add_incorrect' cannot both be false")
        }
        return grade
    }

    func filters(_ settings: RequestFields) throws(WorkerFailure) -> SolutionFilters {
        var filters = SolutionFilters(era: try settings.word("defaults", SolutionFilters.Era.self) ?? .head)
        filters.inputKey = try settings.string("input_key") ?? filters.inputKey
        filters.outputKey = try settings.string("output_key") ?? filters.outputKey
        filters.dropMultiBoxed = try settings.bool("drop_multi_boxed") ?? false
        filters.removeCodeErrors = try settings.bool("remove_code_errors") ?? false
        filters.removeMatplotlib = try settings.bool("remove_matplotlib") ?? false
        filters.removeNoCode = try settings.bool("remove_no_code") ?? false
        filters.removeNoThinkTags = try settings.bool("remove_no_think_tags") ?? false
        filters.removeVerificationCode = try settings.bool("remove_verification_code") ?? false
        filters.majorityFilter = try settings.bool("majority_filter") ?? false
        filters.minMajorityVotes = try settings.double("min_majority_votes", in: 0...1e9) ?? 0
        filters.minMajorityShare = try settings.double("min_majority_percentage", in: 0...1) ?? 0
        filters.trimPrefix = try settings.bool("trim_prefix") ?? false
        filters.trimSolutions = try settings.bool("trim_solutions") ?? filters.trimSolutions
        filters.dropIncorrectArithmetic = try settings.bool("drop_incorrect_arithmetic") ?? false
        filters.splitArithmetic = try settings.bool("split_arithmetic") ?? false
        if try settings.bool("remove_contaminated") ?? (filters.era == .seed) {
            guard settings.has("contamination_file") else {
                throw settings.failure("contamination_file", "is missing: 'remove_contaminated' needs it")
            }
            filters.contaminationFile = try settings.dataset("contamination_file", inputs)
        }
        filters.lengthUnit = try settings.word("length_unit", SolutionFilters.LengthUnit.self)
        filters.problemLength = try length(settings, "problem", max: 1024)
        filters.solutionLength = try length(settings, "solution", max: 2048)
        return filters
    }

    private func length(_ settings: RequestFields, _ what: String, max: Int) throws(WorkerFailure) -> SolutionFilters.LengthRange? {
        let key = "remove_len_outlier_\(what)s"
        guard try settings.bool(key) ?? false else { return nil }
        guard settings.has("length_unit") else { throw settings.failure("length_unit", "is missing: '\(key)' needs it") }
        let range = SolutionFilters.LengthRange(
            min: try settings.int("min_\(what)_length", in: 0...Int.max) ?? 0,
            max: try settings.int("max_\(what)_length", in: 0...Int.max) ?? max)
        guard range.min <= range.max else { throw settings.failure("min_\(what)_length", "is greater than the maximum, \(range.max)") }
        return range
    }

    private func deduplication(_ settings: RequestFields) throws(WorkerFailure) -> Deduplication {
        Deduplication(
            method: try settings.word("method", Deduplication.Method.self) ?? .exact, keys: try settings.strings("keys"),
            threshold: try settings.double("threshold", in: 0.05...1) ?? 0.8,
            permutations: try settings.int("permutations", in: 16...1024) ?? 128, ngram: try settings.int("ngram", in: 1...100) ?? 5,
            seed: try settings.int("seed") ?? 1)
    }

    private func downsampling(_ settings: RequestFields) throws(WorkerFailure) -> Downsampling {
        Downsampling(
            method: try settings.word("method", Downsampling.Method.self) ?? .random, count: try settings.count("count"),
            shuffles: try settings.bool("shuffle") ?? true, groupBy: try settings.string("group_by") ?? "problem",
            seed: try settings.int("seed") ?? 42)
    }

    private func pairing(_ settings: RequestFields) throws(WorkerFailure) -> PreferencePairing {
        var pairing = PreferencePairing()
        pairing.groupBy = try settings.string("group_by") ?? pairing.groupBy
        pairing.promptKey = try settings.string("prompt_key") ?? pairing.groupBy
        pairing.responseKey = try settings.string("response_key") ?? pairing.responseKey
        pairing.grade = try grade(settings)
        pairing.scoreKey = try settings.string("score_key")
        pairing.minMargin = try settings.double("min_margin", in: 0...1e9) ?? 0
        pairing.pairsPerGroup = try settings.int("pairs_per_group", in: 1...1_000_000) ?? 1
        pairing.choice = try settings.word("choose", PreferencePairing.Choice.self) ?? .random
        pairing.seed = try settings.int("seed") ?? 42
        guard pairing.choice != .extremes || pairing.scoreKey != nil else {
            throw settings.failure("choose", "'extremes' needs 'score_key'")
        }
        return pairing
    }

    private func passRate(_ settings: RequestFields) throws(WorkerFailure) -> PassRateSelection {
        var selection = PassRateSelection()
        selection.groupBy = try settings.string("group_by") ?? selection.groupBy
        selection.grade = try grade(settings)
        selection.rateKey = try settings.string("rate_key")
        // Written as null, no problem is too easy.
        if settings.members["discard_from"] != nil { selection.discardFrom = try settings.double("discard_from", in: 0...1) }
        selection.min = try settings.double("min", in: 0...1) ?? 0
        selection.minSamples = try settings.int("min_samples", in: 1...1_000_000) ?? 1
        selection.emission = try settings.word("keep", PassRateSelection.Emission.self) ?? .problems
        return selection
    }

    private func toggle(_ settings: RequestFields) throws(WorkerFailure) -> ReasoningToggle {
        var toggle = ReasoningToggle()
        toggle.onText = try settings.string("on") ?? toggle.onText
        toggle.offText = try settings.string("off") ?? toggle.offText
        toggle.stripsEmpty = try settings.bool("strip_empty") ?? true
        toggle.offShare = try settings.double("off_share", in: 0...1) ?? 0
        toggle.onlyPairs = try settings.bool("only_pairs") ?? false
        toggle.seed = try settings.int("seed") ?? 42
        guard !toggle.onlyPairs || toggle.offShare == 0 else { throw settings.failure("off_share", "cannot stand with 'only_pairs'") }
        return toggle
    }

    private func decontamination(_ settings: RequestFields) throws(WorkerFailure) -> Decontamination {
        var benchmarks: [Decontamination.Benchmark] = []
        for (index, value) in (settings.members["against"]?.array ?? []).enumerated() {
            let place = settings.pointer / "against" / index
            guard let name = value.string, case let path = inputs(place) ?? name, path.hasPrefix("/") else {
                throw .badRequest(place.description, "was not resolved to a file")
            }
            let short = name.split(separator: "/").last.map(String.init) ?? name
            benchmarks.append(.init(name: short, path: path))
        }
        guard !benchmarks.isEmpty else { throw settings.failure("against", "names no benchmark") }
        var settingsMade = Decontamination(benchmarks: benchmarks)
        settingsMade.ngram = try settings.int("ngram", in: 1...100) ?? 13
        settingsMade.threshold = try settings.double("threshold", in: 0...1) ?? 0
        settingsMade.keys = try settings.strings("keys")
        settingsMade.benchmarkKeys = try settings.strings("benchmark_keys")
        settingsMade.marks = try settings.bool("mark") ?? false
        return settingsMade
    }

    private func command(_ entry: RequestFields) throws(WorkerFailure) -> ProgramStep {
        let key = entry.members["command"]?.object == nil ? "command" : "run"
        let fields = key == "run" ? try entry.fields("command") : entry
        guard fields.has(key) else { throw fields.failure(key, "is missing") }
        var arguments = try fields.strings(key)
        // One text is for the shell, as in jobs of kind command.
        if fields.members[key]?.string != nil { arguments = ["/bin/sh", "-c"] + arguments }
        guard let program = arguments.first, !program.isEmpty else { throw fields.failure(key, "names no program") }
        let exchange = key == "run" ? try fields.word("exchange", ProgramStep.Exchange.self) : nil
        return ProgramStep(arguments: arguments, exchange: exchange ?? .stdio)
    }
}

extension RequestFields {
    /// One of the raw values of a type.
    func word<Word: RawRepresentable & CaseIterable>(_ key: String, _ type: Word.Type) throws(WorkerFailure) -> Word?
    where Word.RawValue == String {
        try word(key, among: Word.allCases.map(\.rawValue)).flatMap(Word.init(rawValue:))
    }

    func required<Word: RawRepresentable & CaseIterable>(_ key: String, _ type: Word.Type) throws(WorkerFailure) -> Word
    where Word.RawValue == String {
        guard let word = try word(key, type) else { throw failure(key, "is missing") }
        return word
    }

    /// A number of records.
    func count(_ key: String) throws(WorkerFailure) -> Int {
        guard let count = try int(key, in: 1...Int.max) else { throw failure(key, "is missing") }
        return count
    }
}
