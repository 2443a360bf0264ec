import JSON

/// The conversion of JCommonsenseQA questions into chat messages.
enum JCommonsenseQA {
    static let choiceKeys = ["choice0", "choice1", "choice2", "choice3", "choice4"]
    static let digits = ["0", "1", "2", "3", "4"]
    static let datasetType = "jcommonsenseqa"

    // The wording of the prompt is part of the dataset: models trained on it are asked with the same bytes.
    private static let opening = "以下の質問に答えてください。"
    private static let questionHeading = "\n\n質問:\n"
    private static let choicesHeading = "\n\n選択肢:\n"
    private static let closing = "\n\n最も適切な選択肢の番号だけを、半角数字で1つ出力してください。"
    /// The block is empty because the model is meant to answer without thinking.
    private static let emptyThinking = "<think></think>\n\n"

    /// The chat record of a question: the user's message lists the choices, the assistant's is the number of the right one.
    static func messages(from data: JSONObject) -> JSONValue {
        var choices: [String] = []
        for (index, key) in choiceKeys.enumerated() {
            if let choice = data[key] { choices.append("    \(index). \(pythonText(choice))") }
        }
        let question =
            opening + questionHeading + pythonText(data["question"] ?? "") + choicesHeading + choices.joined(separator: "\n") + closing
        let label = label(of: data)
        return [
            "messages": [
                ["role": "user", "content": .string(question)],
                ["role": "assistant", "content": .string(emptyThinking + label)],
            ],
            "extra_env_info": ["dataset_type": .string(datasetType), "ground_truth": .string(label)],
        ]
    }

    /// The pieces between the texts of a record, with their escapes.
    static let texts = MessageTexts(
        opening: opening + questionHeading, choicesHeading: choicesHeading, closing: closing, thinking: emptyThinking)

    /// The text of the answer's index; empty where there is none.
    static func label(of data: JSONObject) -> String {
        guard let index = data["answer_index"], !index.isNull else { return "" }
        return pythonText(index)
    }

    /// The label of a question or of a converted record; `nil` for a record of another origin.
    static func label(of record: JSONValue) -> String? {
        if let data = record["jcqa_data"]?.object { return label(of: data) }
        guard let info = record["extra_env_info"], info["dataset_type"]?.string == datasetType else { return nil }
        return info["ground_truth"]?.string
    }

    /// What Python's `str()` makes of a value that is no container.
    private static func pythonText(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "True" : "False"
        case .null: "None"
        default: value.text(layout: .python)
        }
    }
}
