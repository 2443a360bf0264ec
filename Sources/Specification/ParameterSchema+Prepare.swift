import JSON

extension ParameterSchema {
    static let prepareTable: [ParameterSchema] = [
        ParameterSchema(required: "source", .object(sourceTable), "Where the data come from: exactly one of the keys below."),
        ParameterSchema(
            "format",
            .choice([
                "auto", "jcqa", "messages", "input_output", "preference", "prompt", "text", "conversations", "generations", "records",
            ]), default: "auto", "The form of the source's records; 'records' are any objects."),
        ParameterSchema("steps", .steps(stepTable), default: [], "What is done to the records, in order."),
        ParameterSchema(
            "on_bad_record", .choice(["fail", "drop"]),
            "What a record that cannot be read or does not fit the format does: end the job, or be left out and listed in a report. "
                + "Without it files of JCommonsenseQA questions drop, as their own script does, and others fail."),
        ParameterSchema(
            "bad_records_max", .integer(0...Int.max), default: 1000, "With 'on_bad_record: drop', more bad records than this end the job.",
            unit: "records"),
        ParameterSchema(
            "register_as", .name(.dataset),
            "The name under which the result is registered, parts of a split as '<name>.<part>'; '<experiment>.<job>.<output>' without it."),
        ParameterSchema("compat", .choice(["seed"]), "'seed' reproduces the first data script byte for byte; only with the jcqa steps."),
    ]

    private static let files = ParameterSchema(
        "file", .either([.path(.file, .file), .list(.path(.file, .file), count: 1...SpecLimits.mapCountMax)]),
        "A local file of JSON Lines or of one JSON array, or several that are read one after the other.")

    private static let sourceTable: [ParameterSchema] = [
        files,
        ParameterSchema("dataset", .dataset, "A registered dataset."),
        ParameterSchema("url", .httpURL, "A file that is fetched over HTTP."),
        ParameterSchema("sha256", .name(.sha256), "The hash that the fetched file must have; only with 'url'."),
        ParameterSchema(
            "bytes_max", .integer(1...SpecLimits.downloadBytesMax),
            "Bytes that the fetched file may have, 68719476736 (64 GiB) without it; only with 'url'.", unit: "bytes"),
        ParameterSchema("generator", .object(generatorTable), "Records that are made up by rule."),
        ParameterSchema("interleave", .object(interleaveTable), "Several sources whose records are drawn in turn."),
    ]

    private static let interleaveTable: [ParameterSchema] = [
        ParameterSchema(
            required: "sources",
            .list(
                .object([
                    files, ParameterSchema("dataset", .dataset, "A registered dataset."),
                    ParameterSchema("weight", .number(.above(0, upTo: 1e9)), default: 1, "How often it is drawn from, against the others."),
                ]), count: 2...SpecLimits.mapCountMax), "The sources, each with 'file' or 'dataset'."),
        ParameterSchema(
            "stop", .choice(["first", "all", "oversample"]), default: "all",
            "When it ends: with the first source, when all are used up, or when all were used up once and others started again."),
        seed(42),
    ]

    private static let generatorTable: [ParameterSchema] = [
        ParameterSchema(
            required: "name", .choice(["times_ten", "refusals", "arithmetic"]),
            "The rule: times_ten asks '{i}*10=?'; refusals prefers the right answer of that to a refusal; arithmetic makes problems with "
                + "'expected_answer', as for reinforcement learning."),
        ParameterSchema(required: "count", .integer(1...10_000_000), "Records to make.", unit: "records"),
        ParameterSchema("start", .integer(0...1_000_000_000_000), default: 0, "times_ten, refusals: the first number."),
        ParameterSchema("step", .integer(1...1_000_000_000), default: 1, "times_ten, refusals: the distance between numbers."),
        ParameterSchema(
            "format", .choice(["messages", "preference", "input_output"]), default: "messages", "times_ten: the form of the records."),
        ParameterSchema(
            "marks", .choice(["none", "extra_id"]), default: "none",
            "refusals: 'extra_id' puts the turns' marks of NeMo-Aligner's template around prompt and answers, the terminator included."),
        ParameterSchema("rewards", .boolean, default: false, "refusals: adds chosen_reward 1 and rejected_reward 0."),
        ParameterSchema(
            "operations", .list(.choice(["add", "subtract", "multiply"]), count: 1...3), default: ["add", "subtract", "multiply"],
            "arithmetic: what is drawn from."),
        ParameterSchema("terms", .integer(2...10), default: 2, "arithmetic: numbers of one problem.", unit: "numbers"),
        ParameterSchema("digits", .integer(1...6), default: 2, "arithmetic: digits of a number at most.", unit: "digits"),
        ParameterSchema(
            "seed", .integer(-Int.max...Int.max),
            "The seed of what the rule draws at random: the order of times_ten and refusals, which without it ascends, and which refusal; "
                + "arithmetic's problems, 42 without it."),
    ]

    static func seed(_ value: JSONValue, _ name: String = "seed") -> ParameterSchema {
        ParameterSchema(name, .integer(-Int.max...Int.max), default: value, "The seed of what is drawn at random.")
    }

    /// The name of a record's member; points lead into nested objects.
    static func key(_ name: String, _ value: JSONValue?, _ doc: String) -> ParameterSchema {
        ParameterSchema(name, .text(bytesMax: 1000), default: value, doc)
    }

    static func flag(_ name: String, _ value: JSONValue? = false, _ doc: String) -> ParameterSchema {
        ParameterSchema(name, .boolean, default: value, doc)
    }

    static func keys(_ name: String, _ doc: String) -> ParameterSchema {
        ParameterSchema(name, .either([.text(bytesMax: 1000), .list(.text(bytesMax: 1000), count: 1...100)]), doc)
    }
}
