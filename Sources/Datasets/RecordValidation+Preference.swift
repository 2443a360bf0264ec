import JSON

extension RecordProblems {
    /// Two responses to a prompt, in any of the forms that the trainer reads.
    mutating func check(preference members: JSONObject) {
        if members["completions"] != nil { return check(ranked: members) }
        let keys = PreferenceKeys.all.first { members[$0.chosen] != nil || members[$0.rejected] != nil } ?? PreferenceKeys.all[0]
        let responses = [keys.chosen, keys.rejected]
        // Responses that are whole conversations hold their prompt.
        let holdPrompt = members["prompt"] == nil && responses.allSatisfy { (members[$0]?.array?.count ?? 0) > 1 }
        if !holdPrompt { check(prompt: members["prompt"]) }
        for key in responses { check(response: members[key], at: JSONPointer([key]), promptIsText: members["prompt"]?.string != nil) }
        check(number: members["chosen_reward"], at: JSONPointer(["chosen_reward"]))
        check(number: members["rejected_reward"], at: JSONPointer(["rejected_reward"]))
    }

    private mutating func check(response value: JSONValue?, at pointer: JSONPointer, promptIsText: Bool) {
        guard value?.array != nil else { return check(text: value, at: pointer) }
        check(conversation: value, at: pointer, endsWithAssistant: true)
        if promptIsText { add(pointer, "is an array of messages, and the prompt is a string; both must be of one sort") }
    }

    /// NeMo RL's form: two completions of a context, of which the lower rank is preferred.
    private mutating func check(ranked members: JSONObject) {
        check(conversation: members["context"], at: JSONPointer(["context"]), endsWithAssistant: false)
        let path = JSONPointer(["completions"])
        guard let completions = members["completions"]?.array, completions.count == 2 else {
            return add(path, "must be an array of two completions")
        }
        for (index, completion) in completions.enumerated() {
            let place = path / index
            if completion["rank"] == nil { add(place / "rank", "is missing") }
            check(number: completion["rank"], at: place / "rank")
            check(conversation: completion["completion"], at: place / "completion", endsWithAssistant: true)
        }
        if let first = completions[0]["rank"]?.double, first == completions[1]["rank"]?.double {
            add(path, "both have the same rank, so none is preferred")
        }
    }
}
