import JSON

/// The shape of a dataset's records.
public enum DatasetFormat: String, Sendable, CaseIterable, Hashable {
    /// `{"messages": [{"role", "content"}, …]}`, the last message from the assistant.
    case messages
    /// `{"input": text, "output": text}`.
    case inputOutput = "input_output"
    /// `{"prompt", "chosen_response", "rejected_response", "chosen_reward"?, "rejected_reward"?}`.
    case preference
    /// `{"jcqa_data": {"question", "choice0" … "choice4", "answer_index"}}`, the input of the JCommonsenseQA steps.
    case jcqa
    /// Any objects, such as generations on their way to training data.
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
        let isPreference = PreferenceKeys.all.contains { record[$0.chosen] != nil && record[$0.rejected] != nil }
        let isMessages = record["messages"] != nil
        let isInputOutput = record["input"] != nil && record["output"] != nil
        switch (isMessages, isInputOutput, isPreference) {
        case (false, false, false): return .unknown
        case (true, false, false): return .format(.messages)
        case (false, true, false): return .format(.inputOutput)
        case (false, false, true): return .format(.preference)
        default:
            let names = [(isMessages, "messages"), (isInputOutput, "input and output"), (isPreference, "preference pairs")]
            return .ambiguous(names.filter(\.0).map(\.1).joined(separator: "; "))
        }
    }

    /// One sentence that tells what a file must hold, for messages about files of no known format.
    public static let summary =
        "a record holds either 'messages', or 'input' and 'output', or 'prompt', 'chosen_response' and 'rejected_response', or 'jcqa_data'"
}

/// The two spellings in use for the answers of a preference record.
struct PreferenceKeys: Sendable {
    var chosen: String
    var rejected: String

    static let all = [
        PreferenceKeys(chosen: "chosen_response", rejected: "rejected_response"), PreferenceKeys(chosen: "chosen", rejected: "rejected"),
    ]
}
