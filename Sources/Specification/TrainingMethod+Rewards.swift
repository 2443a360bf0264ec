import JSON

extension TrainingMethod {
    /// The kinds of rewards, by name: what a list of rewards has as elements.
    static let rewardKinds: [ParameterSchema] = [
        reward("exact", "1 where the answer behind the reasoning is the expected one, as text or as a number.", [extraction("text")]),
        reward("math", "1 where the answer equals the expected one by math-verify.", [extraction("boxed")]),
        reward("choice", "1 where the label of a multiple-choice answer is the expected one."),
        reward(
            "format", "1 where <think>…</think> stands as the mode asks: once before the answer in on-mode, not at all in off-mode.",
            [
                ParameterSchema(
                    "mode", .choice(["auto", "on", "off"]), default: "auto",
                    "The mode of all records; auto goes by 'field', else by 'detailed thinking on' or 'off' in the system message."),
                ParameterSchema("field", .text(bytesMax: 200), "The member of a record with its mode: on, off, true or false."),
            ]),
        reward(
            "length", "1 up to some tokens, then falling to 0 along a line.",
            [
                ParameterSchema(required: "full_until", .integer(0...16_777_216), "Tokens up to which the reward is 1.", unit: "tokens"),
                ParameterSchema(required: "zero_from", .integer(1...16_777_216), "Tokens from which it is 0.", unit: "tokens"),
            ]),
        reward("judge", "1 where another model says that the answer is right.", judgeKeys),
        reward(
            "reward_model", "What a reward model gives, such as method reward trains.",
            [
                ParameterSchema(required: "model", .model, "The reward model: a sequence classifier with one output."),
                ParameterSchema(
                    "batch_size", .integer(1...65_536), default: 8, "Responses that are scored at the same time.", unit: "responses"),
                ParameterSchema(
                    "max_length", .integer(2...16_777_216), default: 4096, "Tokens of a conversation; the rest is cut off.", unit: "tokens"),
            ]),
        reward(
            "python", "What a function of your own gives, which takes any of prompt, completion, expected, record, tokens, truncated.",
            [
                ParameterSchema(required: "file", .path(.file, .file), "The Python file."),
                ParameterSchema("function", .text(bytesMax: 200), default: "score", "The function's name in it."),
            ]),
    ]

    private static func reward(_ name: String, _ doc: String, _ keys: [ParameterSchema] = []) -> ParameterSchema {
        ParameterSchema(
            name,
            .object(
                keys + [
                    ParameterSchema("weight", .number(.atLeast(-1e6, upTo: 1e6)), default: 1.0, "What the reward is multiplied by."),
                    ParameterSchema("name", .name(.experiment), "Its name in curves, train/reward/<name>; without it that of its kind."),
                ]), doc)
    }

    private static func extraction(_ usual: String) -> ParameterSchema {
        ParameterSchema(
            "extract", .choice(["text", "boxed", "hashes"]), default: .string(usual),
            "Where the answer stands: all of the text, in the last \\boxed{…}, or behind the last '#### '.")
    }

    private static let judgeKeys: [ParameterSchema] = [
        ParameterSchema(required: "url", .httpURL, "The base URL of an OpenAI-compatible server, without /v1."),
        ParameterSchema(required: "model", .text(bytesMax: 1000), "The judging model's name at that server; another one is refused."),
        ParameterSchema("api_key_env", .name(.variable), "The environment variable that holds the key for that server."),
        ParameterSchema(
            "prompt", .text(bytesMax: SpecLimits.stringBytesMax),
            "What the judge is asked, with {problem}, {expected_answer}, {predicted_answer}; it must make it write 'Judgement: Yes' or 'No'."
        ),
        ParameterSchema("concurrency", .integer(1...1024), default: 16, "The most requests at the same time.", unit: "requests"),
        ParameterSchema("retries", .integer(0...100), default: 5, "Further tries of a request, after which the job fails.", unit: "tries"),
        ParameterSchema("timeout_seconds", .number(.above(0, upTo: 86_400)), default: 120, "Seconds of one request.", unit: "seconds"),
        ParameterSchema("max_tokens", .integer(1...1_048_576), default: 1024, "The longest judgement.", unit: "tokens"),
    ]
}
