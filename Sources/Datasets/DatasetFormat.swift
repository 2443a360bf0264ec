import JSON

/// The shape of a dataset's records.
public enum DatasetFormat: String, Sendable, CaseIterable, Hashable {
    /// `{"messages": [{"role", "content"}, …]}`, the last message from the assistant.
    case messages
    /// `{"input": text, "output": text}`.
    case inputOutput = "input_output"
    /// `{"prompt", "chosen_response", "rejected_response", "chosen_reward"?, "rejected_reward"?}`, the same with `chosen` and
    /// `rejected`, each a text or messages, or `{"context", "completions": [{"rank", "completion"}, …]}`.
    case preference
    /// `{"jcqa_data": {"question", "choice0" … "choice4", "answer_index"}}`, the input of the JCommonsenseQA steps.
    case jcqa
    /// `{"prompt": text or messages}`, what a model is asked, without an answer.
    case prompt
    /// `{"text": text}`, for continued pre-training.
    case text
    /// `{"conversations": [{"from": "human" or "gpt", "value"}, …], "image"?, "id"?}`, the vision-language form.
    case conversations
    /// `{"generation": text, …}`, what a model answered to each record. Only by name; the keys do not tell it.
    case generations
    /// Any objects, such as generations on their way to training data. Only by name.
    case records

    /// What is known about one record's format.
    public enum Detection: Sendable, Equatable {
        case format(DatasetFormat)
        case unknown
        /// The record fits several formats; the text names them.
        case ambiguous(String)
    }

    /// The format that the keys of `record` tell.
    public static func detect(in record: JSONObject) -> Detection {
        if record["jcqa_data"] != nil { return .format(.jcqa) }
        let isPreference =
            PreferenceKeys.all.contains { record[$0.chosen] != nil && record[$0.rejected] != nil }
            || record["context"] != nil && record["completions"] != nil
        let known: [(isSo: Bool, format: DatasetFormat, name: String)] = [
            (record["messages"] != nil, .messages, "messages"),
            (record["input"] != nil && record["output"] != nil, .inputOutput, "input and output"),
            (isPreference, .preference, "preference pairs"), (record["conversations"] != nil, .conversations, "conversations"),
        ]
        let fitting = known.filter(\.isSo)
        if fitting.count > 1 { return .ambiguous(fitting.map(\.name).joined(separator: "; ")) }
        if let only = fitting.first { return .format(only.format) }
        // A record with an answer beside its prompt is more than a prompt; which form it has is not for the keys to tell.
        guard answerKeys.allSatisfy({ record[$0] == nil }) else { return .unknown }
        switch (record["prompt"] != nil, record["text"] != nil) {
        case (true, true): return .ambiguous("prompt; text")
        case (true, false): return .format(.prompt)
        case (false, true): return .format(.text)
        case (false, false): return .unknown
        }
    }

    private static let answerKeys = ["generation", "completion", "response", "chosen", "rejected"]

    /// One sentence that tells what a file must hold, for messages about files of no known format.
    public static let summary =
        "a record holds 'messages', 'input' and 'output', 'prompt', 'prompt' with 'chosen_response' and 'rejected_response', "
        + "'conversations', 'text' or 'jcqa_data'"
}

/// The two spellings in use for the answers of a preference record.
struct PreferenceKeys: Sendable {
    var chosen: String
    var rejected: String

    static let all = [
        PreferenceKeys(chosen: "chosen_response", rejected: "rejected_response"), PreferenceKeys(chosen: "chosen", rejected: "rejected"),
    ]
}
