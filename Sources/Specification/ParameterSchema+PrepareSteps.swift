import JSON

extension ParameterSchema {
    /// The steps of a prepare job, each with its own keys.
    static let stepTable: [ParameterSchema] =
        [
            ParameterSchema("jcqa_rebalance", .object([seed(42)]), "Moves answers so that all labels are equally frequent."),
            ParameterSchema("jcqa_messages", .object([]), "Turns JCommonsenseQA records into messages."),
            ParameterSchema(
                "to_messages",
                .object([ParameterSchema("system", .text(bytesMax: SpecLimits.stringBytesMax), "A system message to put first.")]),
                "Turns input/output records, or lists of 'conversations', into messages."),
            ParameterSchema("shuffle", .object([seed(42)]), "Puts the records in a random order."),
            ParameterSchema(
                "sample",
                .object([ParameterSchema(required: "count", .integer(1...Int.max), "Records to keep.", unit: "records"), seed(42)]),
                "Keeps so many records, drawn at random, in their order."),
            ParameterSchema("split", .object(splitTable), "Divides the records; only 'pack' may come after it."),
        ] + generationSteps + trainingSteps + outputSteps

    private static let splitTable: [ParameterSchema] = [
        ParameterSchema(required: "train", splitAmount, "The share, or the number of records, for training."),
        ParameterSchema(required: "validation", splitAmount, "The same for validation."),
        ParameterSchema("test", splitAmount, "The same for a test set."),
        seed(42),
    ]

    private static let splitAmount = ValueType.either([.integer(1...Int.max), .number(.between(0, 1))])

    /// Steps that choose among a model's generations.
    private static let generationSteps: [ParameterSchema] = [
        ParameterSchema("correctness", .object(gradeTable + sidesTable), "Keeps generations by whether they were graded right."),
        ParameterSchema("filters", .object(keyTable + filterTable), "Drops and trims mathematical solutions, in the order of the keys."),
        ParameterSchema("dedupe", .object(dedupeTable), "Leaves out records that stand earlier already."),
        ParameterSchema(
            "downsample",
            .object([
                ParameterSchema(
                    "method", .choice(["random", "fair"]), default: "random", "'fair' takes one record of each problem in turn."),
                ParameterSchema(required: "count", .integer(1...Int.max), "Records to keep; all where there are fewer.", unit: "records"),
                flag("shuffle", true, "Puts the result in a random order."),
                key("group_by", "problem", "The member that tells the problem."),
                seed(42),
            ]), "Keeps so many records, at random or evenly over the problems."),
        ParameterSchema(
            "code_text",
            .object(
                [
                    ParameterSchema(
                        required: "mode", codeTextModes,
                        "all: only solutions with code; majority_code: text too where at most half have code; majority_text: code only where "
                            + "more than half have it; any_code: code where there is any."),
                    key("marker", "<tool_call>", "What a solution with code contains."),
                ] + keyTable), "Chooses between a problem's solutions with code and those without."),
        ParameterSchema("math_sft", .object(mathTable), "NeMo-Skills' preparation of mathematical training data, as one step."),
        ParameterSchema(
            "extract_problems",
            .object([
                key("generation_key", "generation", "The member with the model's list 'Problem 1: … Problem 2: …'."),
                flag("keep_preamble", false, "Takes text before the first heading for a problem, too."),
            ]), "Makes a record of each problem that a model found; the others go to a file 'dropped-<step>.jsonl'."),
    ]

    private static let codeTextModes = ValueType.choice(["all", "majority_code", "majority_text", "any_code"])

    /// Steps that make training data.
    private static let trainingSteps: [ParameterSchema] = [
        ParameterSchema("render", .object(renderTable), "Writes records as prompts and answers, by a template."),
        ParameterSchema("preference_pairs", .object(pairTable), "Pairs a right generation with a wrong one of the same problem."),
        ParameterSchema("pass_rate", .object(passRateTable), "Keeps problems by the share of right answers among their generations."),
        ParameterSchema("curriculum", .object(curriculumTable), "Orders prompts from easy to hard, batch by batch."),
        ParameterSchema("reasoning_toggle", .object(toggleTable), "Tells in the system turn whether the answer thinks."),
        ParameterSchema("decontaminate", .object(decontaminateTable), "Leaves out records that share runs of words with benchmarks."),
        ParameterSchema(
            "command", .either([.text(bytesMax: SpecLimits.stringBytesMax), arguments, .object(programTable)]),
            "Runs a program of yours that reads records and writes records."),
    ]

    private static let arguments = ValueType.list(.argument, count: 1...SpecLimits.listCountMax)

    private static let programTable: [ParameterSchema] = [
        ParameterSchema(
            required: "run", .either([.text(bytesMax: SpecLimits.stringBytesMax), arguments]),
            "The program and its arguments, or one text for /bin/sh -c."),
        ParameterSchema(
            "exchange", .choice(["stdio", "files"]), default: "stdio",
            "Records on standard input and output, or in the files ANNEAL_STEP_INPUT and ANNEAL_STEP_OUTPUT."),
    ]

    private static let gradeTable: [ParameterSchema] = [
        key("correct_key", nil, "The member with the grade; without it is_correct, or symbolic_correct."),
        flag("use_judgement", false, "Lets a judge's text decide, of the member 'judgement'."),
    ]

    private static let sidesTable: [ParameterSchema] = [
        flag("add_correct", true, "Keeps what was graded right."),
        flag("add_incorrect", false, "Keeps what was graded wrong."),
        flag("add_unlabeled", false, "Keeps what was never graded."),
        ParameterSchema(
            "skip_first", .integer(0...Int.max), default: 0, "Records to leave out at the start.", unit: "records",
            source: skills("skip_first")),
    ]

    private static let keyTable: [ParameterSchema] = [
        key("input_key", "problem", "The member with the problem."), key("output_key", "generation", "The member with the solution."),
    ]

    /// Where the defaults come from that have NeMo-Skills' names.
    private static func skills(_ key: String) -> String {
        "NeMo-Skills, math_sft.yaml: \(key)"
    }

    private static let filterTable: [ParameterSchema] = [
        ParameterSchema(
            "defaults", .choice(["head", "seed"]), default: "head",
            "Whose defaults: seed (July 2025) removes contaminated problems and trims solutions; head (November 2025) does neither."),
        flag("drop_multi_boxed", false, "Drops solutions with more than one \\boxed."),
        flag("remove_contaminated", nil, "Drops problems that contamination_file marks; by 'defaults' true for seed, false for head."),
        ParameterSchema("contamination_file", .dataset, "Records with 'problem' and 'contaminated'."),
        flag("remove_code_errors", false, "Drops solutions with a traceback, cut output, time-out or syntax error."),
        flag("remove_matplotlib", false, "Drops solutions that import matplotlib."),
        flag("remove_no_code", false, "Drops solutions without both tool_call tags."),
        flag("remove_no_think_tags", false, "Drops solutions without </think>; with 'defaults: seed' also those without <think>."),
        flag("remove_verification_code", false, "Drops solutions that verify with Python."),
        flag("majority_filter", false, "Drops answers with too few votes; records without votes pass."),
        ParameterSchema("min_majority_votes", .number(.atLeast(0)), default: 0, "Votes that the answer needs.", unit: "votes"),
        ParameterSchema(
            "min_majority_percentage", .number(.atLeast(0, upTo: 1)), default: 0, "The share of the votes that it needs.", unit: "fraction"),
        flag("trim_prefix", false, "Removes a first line 'My solution:'."),
        flag("trim_solutions", nil, "Cuts what follows the line of the last \\boxed; by 'defaults' true for seed, false for head."),
        flag("drop_incorrect_arithmetic", false, "Drops solutions with a wrong equation (relative tolerance 1e-4)."),
        flag("split_arithmetic", false, "Writes equations out in single steps."),
        flag("remove_len_outlier_problems", false, "Drops problems outside the lengths below."),
        flag("remove_len_outlier_solutions", false, "Drops solutions outside the lengths below."),
        ParameterSchema(
            "length_unit", .choice(["characters", "words", "bytes"]), "What lengths are counted in; needed for the two above."),
        ParameterSchema(
            "min_problem_length", .integer(0...Int.max), default: 0, "The shortest problem.", source: skills("min_problem_length")),
        ParameterSchema(
            "max_problem_length", .integer(0...Int.max), default: 1024, "The longest problem.", source: skills("max_problem_length")),
        ParameterSchema(
            "min_solution_length", .integer(0...Int.max), default: 0, "The shortest solution.", source: skills("min_solution_length")),
        ParameterSchema(
            "max_solution_length", .integer(0...Int.max), default: 2048, "The longest solution.", source: skills("max_solution_length")),
    ]

    private static let dedupeTable: [ParameterSchema] = [
        ParameterSchema(
            "method", .choice(["exact", "near"]), default: "exact", "'near' also finds records with about the same words (MinHash)."),
        keys("keys", "The members that are compared; without them the whole record."),
        ParameterSchema(
            "threshold", .number(.atLeast(0.05, upTo: 1)), default: 0.8, "near: the least Jaccard similarity of word runs.",
            unit: "fraction"),
        ParameterSchema(
            "permutations", .integer(16...1024), default: 128, "near: hash functions; more estimate better.", unit: "hash functions"),
        ParameterSchema("ngram", .integer(1...100), default: 5, "near: words of one run.", unit: "words"),
        seed(1),
    ]

    private static let mathTable: [ParameterSchema] =
        gradeTable + sidesTable + keyTable + [
            flag("deduplicate", true, "Keeps each solution of a problem once."),
            ParameterSchema("filters", .object(filterTable), "The filters, with their keys."),
            ParameterSchema("code_text_filter", codeTextModes, "Chooses between solutions with code and without."),
            ParameterSchema("downsampling_method", .choice(["random", "fair"]), "How num_output_samples are drawn."),
            ParameterSchema("num_output_samples", .integer(1...Int.max), "Records to keep.", unit: "records"),
            seed(42, "random_seed"),
            flag("do_shuffle", true, "Puts the result in a random order."),
            ParameterSchema(
                "prompt", .text(bytesMax: SpecLimits.stringBytesMax), "The user's text with {fields}, or 'math'; without it the problem."),
            ParameterSchema("system", .text(bytesMax: SpecLimits.stringBytesMax), "The system text."),
            marks,
            flag("exclude_optional_keys", true, "Keeps only input, output and expected_answer."),
            ParameterSchema("metadata", .map(keys: .tag, .scalar), "Members that every record gets."),
        ]

    private static let marks = ParameterSchema(
        "marks",
        .either([
            .choice(["qwen-instruct", "none"]),
            .object(
                ["text_begin", "system_begin", "system_end", "user_begin", "user_end", "assistant_begin", "assistant_end"].map {
                    ParameterSchema($0, .text(bytesMax: 10_000), "The mark at this place.")
                }),
        ]), "The marks around the turns of input_output texts.")

    private static let renderTable: [ParameterSchema] = [
        ParameterSchema("prompt", .choice(["math", "generic/math", "default"]), "A prompt by name; without it 'user'."),
        ParameterSchema("user", .text(bytesMax: SpecLimits.stringBytesMax), "The user's text; {field} is a record's member, {{ a brace."),
        ParameterSchema("system", .text(bytesMax: SpecLimits.stringBytesMax), "The system text, with {fields}, too."),
        ParameterSchema(
            "few_shot",
            .object([
                ParameterSchema("prefix", .text(bytesMax: SpecLimits.stringBytesMax), "What stands before the examples."),
                ParameterSchema(required: "template", .text(bytesMax: SpecLimits.stringBytesMax), "One example, with {fields}."),
                ParameterSchema("suffix", .text(bytesMax: SpecLimits.stringBytesMax), "What stands after them."),
                ParameterSchema(
                    required: "examples", .list(.map(keys: .tag, .scalar), count: 1...SpecLimits.mapCountMax), "The examples' fields."),
            ]), "Worked examples for the place {examples} of the user's text."),
        ParameterSchema(
            "to", .choice(["messages", "input_output", "prompt"]), default: "messages",
            "Chat messages, one text each for prompt and answer, or a prompt without an answer."),
        marks,
        key("output_key", "generation", "The member with the answer."),
        keys("keep", "Members that stay beside the prompt, or 'all'; without it expected_answer."),
        ParameterSchema("metadata", .map(keys: .tag, .scalar), "Members that every record gets."),
    ]

    private static let pairTable: [ParameterSchema] =
        gradeTable + [
            key("group_by", "problem", "The member that tells the problem."),
            key("prompt_key", nil, "The member that becomes the prompt; without it that of group_by."),
            key("response_key", "generation", "The member with the answer."),
            key("score_key", nil, "A number that ranks the answers instead of the grade; it becomes the rewards."),
            ParameterSchema("min_margin", .number(.atLeast(0)), default: 0, "The least difference of a pair's scores."),
            ParameterSchema("pairs_per_group", .integer(1...1_000_000), default: 1, "Pairs of one problem at most.", unit: "pairs"),
            ParameterSchema(
                "choose", .choice(["random", "first", "extremes"]), default: "random",
                "Which pairs; 'extremes' takes the best against the worst score."),
            seed(42),
        ]

    private static let passRateTable: [ParameterSchema] =
        gradeTable + [
            key("group_by", "problem", "The member that tells the problem."),
            key("rate_key", nil, "A member that holds the pass rate already; without it the grades are counted."),
            ParameterSchema(
                "discard_from", .nullable(.number(.atLeast(0, upTo: 1))), default: 0.75,
                "Problems of this pass rate and above are too easy; null keeps them.", unit: "fraction",
                source: "Llama-Nemotron, arXiv 2505.00949, section 5"),
            ParameterSchema(
                "min", .number(.atLeast(0, upTo: 1)), default: 0, "Problems below this pass rate are too hard.", unit: "fraction"),
            ParameterSchema(
                "min_samples", .integer(1...1_000_000), default: 1, "Graded generations that a problem needs.", unit: "generations"),
            ParameterSchema(
                "keep", .choice(["problems", "records"]), default: "problems", "One record of each problem, or all its generations."),
        ]

    private static let curriculumTable: [ParameterSchema] = [
        ParameterSchema(required: "batch_size", .integer(1...Int.max), "Prompts of one batch.", unit: "prompts"),
        ParameterSchema("batches", .integer(1...Int.max), "Batches to make; without it all prompts are used.", unit: "batches"),
        ParameterSchema(
            "width", .number(.atLeast(0.001, upTo: 10)), default: 0.125, "The Gaussian's standard deviation, in pass rate.",
            unit: "fraction"),
        ParameterSchema("levels", .integer(1...1000), "Levels of equal width; without it one for each pass rate.", unit: "levels"),
        key("rate_key", "pass_rate", "The member with the pass rate, from 0 to 1."),
        seed(42),
    ]

    private static let toggleTable: [ParameterSchema] = [
        ParameterSchema("on", .text(bytesMax: 10_000), default: "detailed thinking on", "The system text of answers that think."),
        ParameterSchema("off", .text(bytesMax: 10_000), default: "detailed thinking off", "The system text of answers that do not."),
        flag("strip_empty", true, "Removes the empty thinking block of answers that do not think."),
        ParameterSchema(
            "off_share", .number(.atLeast(0, upTo: 1)), default: 0, "The share of thinking records that get a twin without the thinking.",
            unit: "fraction"),
        flag("only_pairs", false, "Keeps only prompts with an answer of each kind, one of each."),
        seed(42),
    ]

    private static let decontaminateTable: [ParameterSchema] = [
        ParameterSchema(required: "against", .list(.dataset, count: 1...100), "The benchmarks' datasets."),
        ParameterSchema(
            "ngram", .integer(1...100), default: 13, "Words of one run.", unit: "words",
            source: "Brown et al. 2020, arXiv 2005.14165, appendix C"),
        ParameterSchema(
            "threshold", .number(.atLeast(0, upTo: 1)), default: 0, "The share of a record's runs that must be known; 0 for a single one.",
            unit: "fraction"),
        keys("keys", "The members that are looked at; without them what asks: problem, question, input, prompt or the user's turns."),
        keys("benchmark_keys", "The same for the benchmarks."),
        flag("mark", false, "Keeps the records and puts the finding into 'contaminated'."),
    ]
}
