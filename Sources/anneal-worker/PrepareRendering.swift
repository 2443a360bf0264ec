import Datasets
import JSON

extension PrepareStepReader {
    /// The settings of a `render` step.
    func rendering(_ settings: RequestFields) throws(WorkerFailure) -> PromptRendering {
        guard settings.has("prompt") != settings.has("user") else {
            throw .badRequest(settings.pointer.description, "needs either 'prompt' or 'user'")
        }
        let name = try settings.word("prompt", among: PromptRendering.named.keys.sorted())
        let named = name.flatMap { PromptRendering.named[$0] }
        let text: String
        if let named { text = named } else { text = try settings.required("user") }
        let user = try template(text, settings, name == nil ? "user" : "prompt")
        var rendering = PromptRendering(user: user)
        rendering.target = try settings.word("to", PromptRendering.Target.self) ?? .messages
        if let system = try settings.string("system") { rendering.system = try template(system, settings, "system") }
        rendering.outputKey = try settings.string("output_key") ?? rendering.outputKey
        if settings.members["keep"]?.string == "all" {
            rendering.kept = nil
        } else if settings.has("keep") {
            rendering.kept = try settings.strings("keep")
        }
        if settings.has("metadata") { rendering.metadata = try settings.fields("metadata").members }
        if settings.has("marks") { rendering.marks = try marks(settings) }
        if rendering.marks != nil, rendering.target != .inputOutput {
            throw settings.failure("marks", "stands only with 'to: input_output'")
        }
        if settings.has("few_shot") { rendering.examples = try examples(try settings.fields("few_shot")) }
        if rendering.examples != nil, !user.fields.contains("examples") {
            throw settings.failure("few_shot", "needs the place {examples} in the user's text")
        }
        return rendering
    }

    private func template(_ text: String, _ fields: RequestFields, _ key: String) throws(WorkerFailure) -> RecordTemplate {
        do throws(RecordTemplate.SyntaxError) {
            return try RecordTemplate(text)
        } catch {
            throw fields.failure(key, error.description)
        }
    }

    private func marks(_ settings: RequestFields) throws(WorkerFailure) -> TurnMarks {
        if settings.members["marks"]?.string != nil {
            let name = try settings.word("marks", among: TurnMarks.named.keys.sorted()) ?? ""
            return TurnMarks.named[name] ?? TurnMarks()
        }
        let fields = try settings.fields("marks")
        var marks = TurnMarks()
        marks.textBegin = try fields.string("text_begin") ?? ""
        (marks.systemBegin, marks.systemEnd) = (try fields.string("system_begin") ?? "", try fields.string("system_end") ?? "")
        (marks.userBegin, marks.userEnd) = (try fields.string("user_begin") ?? "", try fields.string("user_end") ?? "")
        (marks.assistantBegin, marks.assistantEnd) = (try fields.string("assistant_begin") ?? "", try fields.string("assistant_end") ?? "")
        return marks
    }

    private func examples(_ fields: RequestFields) throws(WorkerFailure) -> PromptRendering.Examples {
        var records: [JSONObject] = []
        for record in try fields.list("examples") { records.append(record.members) }
        guard !records.isEmpty else { throw fields.failure("examples", "must be a list of maps") }
        var examples = PromptRendering.Examples(
            template: try template(try fields.required("template"), fields, "template"), records: records)
        examples.prefix = try fields.string("prefix") ?? ""
        examples.suffix = try fields.string("suffix") ?? ""
        return examples
    }

    /// NeMo-Skills' preparation of mathematical training data, as the steps that it consists of.
    func mathSFT(_ settings: RequestFields) throws(WorkerFailure) -> [PreparationStep] {
        let inputKey = try settings.string("input_key") ?? "problem"
        let outputKey = try settings.string("output_key") ?? "generation"
        var steps: [PreparationStep] = [.correctness(try grade(settings, addsSides: true))]
        let isDeduplicated = try settings.bool("deduplicate") ?? true
        if isDeduplicated { steps.append(.dedupe(Deduplication(keys: [inputKey, outputKey]))) }
        let given = settings.has("filters") ? try settings.fields("filters") : try RequestFields([:], at: settings.pointer / "filters")
        var filters = try filters(given)
        (filters.inputKey, filters.outputKey) = (inputKey, outputKey)
        steps.append(.filters(filters))
        if let mode = try settings.word("code_text_filter", CodeTextFilter.Mode.self) {
            steps.append(.codeText(CodeTextFilter(mode: mode, inputKey: inputKey, outputKey: outputKey)))
        }
        let seed = try settings.int("random_seed") ?? 42
        let shuffles = try settings.bool("do_shuffle") ?? true
        let method = try settings.word("downsampling_method", Downsampling.Method.self)
        let count = try settings.int("num_output_samples", in: 1...Int.max)
        guard (method == nil) == (count == nil) else {
            throw .badRequest(settings.pointer.description, "'downsampling_method' and 'num_output_samples' stand only together")
        }
        // Groups of problems keep their records together where nothing shuffles them.
        steps.append(
            .downsample(
                Downsampling(method: method ?? .fair, count: count ?? Int.max, shuffles: shuffles, groupBy: inputKey, seed: seed)))
        steps.append(.render(try mathPrompt(settings, inputKey: inputKey, outputKey: outputKey)))
        // Trimming may have made solutions equal.
        if isDeduplicated { steps.append(.dedupe(Deduplication(keys: ["input", "output"]))) }
        return steps
    }

    private func mathPrompt(_ settings: RequestFields, inputKey: String, outputKey: String) throws(WorkerFailure) -> PromptRendering {
        let user: RecordTemplate
        if let prompt = try settings.string("prompt") {
            let text = PromptRendering.named[prompt] ?? prompt
            user = try template(text, settings, "prompt")
        } else {
            user = try template("{\(inputKey)}", settings, "input_key")
        }
        var rendering = PromptRendering(user: user)
        rendering.target = .inputOutput
        if let system = try settings.string("system") { rendering.system = try template(system, settings, "system") }
        rendering.outputKey = outputKey
        rendering.marks = settings.has("marks") ? try marks(settings) : nil
        if try settings.bool("exclude_optional_keys") == false { rendering.kept = nil }
        if settings.has("metadata") { rendering.metadata = try settings.fields("metadata").members }
        return rendering
    }
}
