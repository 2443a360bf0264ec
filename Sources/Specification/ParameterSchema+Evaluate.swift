import JSON

extension ParameterSchema {
    static let evaluateTable: [ParameterSchema] = [
        ParameterSchema("model", .model, "The model to evaluate; needed where 'server' has an 'engine'."),
        ParameterSchema(
            "server", .object(serverTable),
            "What answers: an 'engine' that is started, a 'job' that serves, or the 'url' of one that runs; needed where a benchmark has a 'dataset'."
        ),
        ParameterSchema(required: "benchmarks", .list(.object(benchmarkTable), count: 1...SpecLimits.mapCountMax), "The questions."),
        ParameterSchema(
            "concurrency", .either([.integer(1...4096)] + concurrencyTypes),
            "The most requests at the same time, as a number, without it 256, at transformers 16; or a concurrency group, as for every job.",
            unit: "requests"),
        ParameterSchema(
            "request_timeout", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "600s", "The longest time of one request."),
        ParameterSchema("compare_to", .evaluation, "The baseline."),
        ParameterSchema(
            "on", .choice(["checkpoint"]),
            "'checkpoint' evaluates each checkpoint of the training that 'model: ${job.checkpoint}' names, as soon as it is there."),
        ParameterSchema(
            "every", .integer(1...1_000_000_000), "on: checkpoint: only checkpoints whose step is a multiple of this; without it all.",
            unit: "steps"),
        ParameterSchema(
            "steps", .list(.integer(0...1_000_000_000), count: 1...SpecLimits.listCountMax),
            "on: checkpoint: only checkpoints of these steps."),
        ParameterSchema(
            "gate", .map(keys: .metric, .text(bytesMax: SpecLimits.conditionBytesMax)),
            "Conditions by metric (accuracy, no_answer, avg_tokens, pass@k, majority@k, <benchmark>/<metric>), with 'at 95%' by significance; "
                + "a miss fails the job."),
    ]

    /// How a server is started or found.
    private static let startTable: [ParameterSchema] =
        serverStart + [
            serverJob,
            ParameterSchema("url", .httpURL, "The base URL of an OpenAI-compatible server, without /v1."),
            ParameterSchema("api_key_env", .name(.variable), "The environment variable that holds the key for that server."),
        ]

    private static let serverTable: [ParameterSchema] =
        startTable + [
            ParameterSchema("model", .text(bytesMax: 1000), "The model's name at that server; without it the first that it lists.")
        ]

    private static let judgeTable: [ParameterSchema] =
        startTable + [
            ParameterSchema(
                "model", .text(bytesMax: 1000),
                "The judging model: its name at the 'url', or the folder that the 'engine' serves; that of the 'job' where one serves it."),
            ParameterSchema(
                "mode", .choice(["single", "pair"]), default: "single",
                "'single' asks whether the answer is right; 'pair' which of response and expected response is better, in both orders."),
            ParameterSchema(
                "prompt", .text(bytesMax: SpecLimits.stringBytesMax),
                "What the judge is asked, with {problem}, {expected_answer}, {predicted_answer}, or for pairs {response_1}, {response_2}."),
            ParameterSchema("max_tokens", .integer(1...1_048_576), default: 1024, "The longest judgement.", unit: "tokens"),
            ParameterSchema(
                "seed", .integer(0...4_294_967_295), default: 0, "The seed of the judgements, which are taken at temperature 0."),
        ]

    private static let gradingTable: [ParameterSchema] = [
        ParameterSchema(
            "answer", .choice(["text", "boxed", "hashes", "pattern"]),
            "Where the answer stands: all text, the last \\boxed{}, behind '#### ', or by 'pattern'; without it boxed for math, else text."),
        ParameterSchema(
            "pattern", .text(bytesMax: 10_000),
            "The expression whose last match holds the answer, in its first group; without it 'The final answer is (.+)$'."),
        ParameterSchema("modulo", .integer(1...1_000_000_000), "math: compares the remainders of whole numbers."),
        ParameterSchema("path", .text(bytesMax: 1000), "json: a pointer such as /answer to the part that is compared."),
        ParameterSchema(
            "compare", .choice(["equal", "contains"]), default: "equal", "json: whether the answer may have members that are not expected."),
        ParameterSchema(
            "command", .list(.argument, count: 1...SpecLimits.mapCountMax),
            "command: the program that grades, one answer at a time, from JSON on its standard input."),
        ParameterSchema(
            "timeout", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "60s", "command: the longest time for one answer."),
        ParameterSchema("judge", .object(judgeTable), "judge: the model that grades."),
    ]

    private static let benchmarkTable: [ParameterSchema] = [
        ParameterSchema("dataset", .dataset, "The questions with their answers, which a model is asked."),
        ParameterSchema(
            "generations", .either([.dataset, .list(.dataset, count: 1...1024)]),
            "In place of 'dataset': records with a model's answers, which are graded without asking; several files are several samples."),
        ParameterSchema("response", .text(bytesMax: 200), "generations: the member with the answer; without it generation."),
        ParameterSchema(
            "max_seq_len", .integer(1...1_000_000_000), "Answers of more tokens count as wrong and as no answer.", unit: "tokens"),
        ParameterSchema("name", .name(.experiment), "The benchmark's name in results."),
        ParameterSchema("samples", .integer(1...1024), default: 1, "Answers to each question.", unit: "answers"),
        ParameterSchema(
            "prompt", .text(bytesMax: SpecLimits.stringBytesMax),
            "What is asked, with {member} for members of the record; without it the record's own question."),
        ParameterSchema(
            "expected", .text(bytesMax: 200),
            "The member of the record with the expected answer; without it the last answer of its messages, expected_answer, output or answer."
        ),
        ParameterSchema(
            "task", .text(bytesMax: 200), default: "task", "The member of the record that names its task, for results by task."),
        ParameterSchema(
            "grader", .choice(["exact", "choice", "math", "regex", "json", "command", "judge"]), default: "exact",
            "How an answer is judged."),
        ParameterSchema("grading", .object(gradingTable), "What the grader needs to know."),
        ParameterSchema(
            "definition", .choice(["unbiased", "first_k"]), default: "unbiased",
            "How pass@k and majority@k are computed: 'first_k' as NeMo-Skills did before August 2025."),
        ParameterSchema("max_tokens", .integer(1...1_048_576), default: 256, "The longest answer.", unit: "tokens"),
        ParameterSchema("temperature", .number(.atLeast(0, upTo: 2)), "Without it 0 for one sample, else 0.7."),
        ParameterSchema("top_p", .number(.above(0, upTo: 1)), "Without it 0.95 where answers are sampled.", unit: "fraction"),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 0, "The seed of the first sample."),
        ParameterSchema("limit", .integer(1...1_000_000_000), "Takes only the first so many questions.", unit: "questions"),
        ParameterSchema("system", .text(bytesMax: SpecLimits.stringBytesMax), "A system message to put first."),
        ParameterSchema("stop", .list(.text(bytesMax: 1000), count: 1...16), "Texts that end an answer."),
    ]
}
