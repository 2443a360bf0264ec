import JSON

extension ParameterSchema {
    static let generateTable: [ParameterSchema] = [
        ParameterSchema("model", .model, "The model that generates; needed unless 'server' has a 'url' or a 'job'."),
        ParameterSchema(
            "server", .object(generateServerTable),
            "What answers: an 'engine' that is started, a 'job' that serves, or the 'url' of one or several that run; needed but for 'merge'."
        ),
        ParameterSchema("dataset", .dataset, "The records that the model is asked about; needed but for 'merge'."),
        ParameterSchema(
            "prompt", .either([.choice(["generic/math"]), .path(.file, .file), .object(promptTable)]),
            "How a record becomes a question: a prompt's name (generic/math), a .yaml file in NeMo-Skills' form, or its texts; without it the record's own question."
        ),
        ParameterSchema("api", .choice(["chat", "completions"]), default: "chat", "Which of OpenAI's interfaces is spoken."),
        ParameterSchema("limit", .integer(1...1_000_000_000), "Takes only the first so many records.", unit: "records"),
        ParameterSchema(
            "samples", .integer(1...10_000), "Generations of each record, with the seeds from 'starting_seed' on.", unit: "generations"),
        ParameterSchema("starting_seed", .integer(0...4_294_967_295), "The first of the seeds of 'samples'; without it 0."),
        ParameterSchema(
            "seeds",
            .either([
                .integer(0...4_294_967_295), .list(.integer(0...4_294_967_295), count: 1...10_000), .text(bytesMax: 100_000),
            ]),
            "The seeds themselves, as a list or as '0,3' or '0..4' with both ends in; without seeds and samples one greedy run."),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 0, "The seed that a greedy run sends."),
        ParameterSchema(
            "seed_by", .choice(["run", "record"]), default: "run",
            "Whether all requests of a run send its seed, or each record one of its own."),
        ParameterSchema(
            "chunks", .integer(1...1000), "Cuts the records into so many consecutive parts, each a job of its own.", unit: "parts"),
        ParameterSchema("chunk", .integer(0...999), "Generates this one of 'chunks' alone."),
        ParameterSchema(
            "max_tokens", .integer(1...1_048_576), "The longest generation; without it the server's own limit.", unit: "tokens"),
        ParameterSchema("temperature", .number(.atLeast(0, upTo: 2)), "Without it 0, and 0.7 with samples or seeds."),
        ParameterSchema("top_p", .number(.above(0, upTo: 1)), "Without it 0.95 where the temperature is not 0.", unit: "fraction"),
        ParameterSchema("top_k", .integer(-1...1_000_000), "Sent only where given; -1 for all.", unit: "tokens"),
        ParameterSchema("min_p", .number(.atLeast(0, upTo: 1)), "Sent only where given.", unit: "fraction"),
        ParameterSchema("repetition_penalty", .number(.above(0, upTo: 100)), "Sent only where given."),
        ParameterSchema("stop", .list(.text(bytesMax: 1000), count: 1...16), "Texts that end a generation."),
        ParameterSchema(
            "extra", .map(keys: .flag, .either([.scalar, .list(.scalar, count: 0...SpecLimits.mapCountMax), .map(keys: .flag, .scalar)])),
            "Further members of each request; they go before all others."),
        ParameterSchema("stream", .boolean, default: false, "Asks for answers piece by piece."),
        ParameterSchema(
            "parse_reasoning", .boolean, default: false,
            "Keeps of each generation what follows the end of the reasoning; the whole goes to _full_generation."),
        ParameterSchema("reasoning_end", .text(bytesMax: 1000), default: "</think>", "What ends the reasoning."),
        ParameterSchema(
            "concurrency", .either([.integer(1...16_384)] + concurrencyTypes), default: 512,
            "The most requests at the same time, as a number; or a concurrency group, as for every job.", unit: "requests",
            source: "NeMo-Skills, nemo_skills/inference/generate.py: max_concurrent_requests"),
        ParameterSchema(
            "adaptive", .boolean, default: true, "Sends fewer requests at once where more bring nothing or the server pushes back."),
        ParameterSchema(
            "request_timeout", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "4h", "The longest time of one request.",
            source: "NeMo-Skills, nemo_skills/inference/generate.py: timeout"),
        ParameterSchema(
            "patience", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "120s",
            "How long a server may be busy or unreachable before it is given up."),
        ParameterSchema(
            "retry_delay", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "0.5s",
            "The wait before a failed request is sent again; each further one is twice as long, up to 30 s."),
        ParameterSchema(
            "max_failed", .integer(0...1_000_000_000), default: 0,
            "Generations that may fail without failing the job; they are listed and missing in the output.", unit: "generations"),
        ParameterSchema(
            "merge", .map(keys: .output, .list(.dataset, count: 1...1000)),
            "Puts the generations of other jobs together instead of asking a model; what 'chunks' adds by itself."),
    ]

    private static let generateServerTable: [ParameterSchema] =
        serverStart + [
            serverJob,
            ParameterSchema(
                "replicas", .integer(1...64), default: 1, "Servers to start; each gets its share of the job's GPUs.", unit: "servers"),
            ParameterSchema(
                "url", .either([.httpURL, .list(.httpURL, count: 1...64)]),
                "The base URL of an OpenAI-compatible server, without /v1, or several that share the work."),
            ParameterSchema("model", .text(bytesMax: 1000), "The model's name at that server; without it the first that it lists."),
            ParameterSchema("api_key_env", .name(.variable), "The environment variable that holds the key for that server."),
        ]

    private static let promptTable: [ParameterSchema] = [
        ParameterSchema(
            "user", .text(bytesMax: SpecLimits.stringBytesMax),
            "The user's turn, with {field} for the values of the record and doubled braces for braces."),
        ParameterSchema("system", .text(bytesMax: SpecLimits.stringBytesMax), "A system message to put first, in the same form."),
        ParameterSchema("few_shot_examples", .object(fewShotTable), "Worked examples for the place {examples} of the user's turn."),
    ]

    private static let fewShotTable: [ParameterSchema] = [
        ParameterSchema("prefix", .text(bytesMax: SpecLimits.stringBytesMax), "What stands before the examples."),
        ParameterSchema(required: "template", .text(bytesMax: SpecLimits.stringBytesMax), "One example, with {field}."),
        ParameterSchema("suffix", .text(bytesMax: SpecLimits.stringBytesMax), "What stands after them."),
        ParameterSchema(
            required: "examples", .list(.map(keys: .tag, .scalar), count: 1...SpecLimits.mapCountMax), "The examples' fields."),
    ]
}
