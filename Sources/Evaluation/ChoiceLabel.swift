/// The label of a multiple-choice answer.
enum ChoiceLabel {
    /// Words after which an answer names its choice.
    private static let cues = ["answer is", "answer:", "answer：", "答えは", "答え:", "答え：", "正解は", "正解:", "正解："]
    private static let brackets = Set("()[]{}.,:;*\"'`$（）「」。、")

    /// The label that `text` gives; `nil` where it gives none or several.
    ///
    /// In this order: the text is nothing but a label; a label follows the last cue such as “answer is”; the text starts with a label
    /// and a mark, as in “2. a dog”; exactly one label stands in the text. Letters count only in upper case unless the text is nothing but the letter. With `model` only
    /// labels of its kind, digit or letter, count.
    static func read(from text: String, like model: Character?) -> Character? {
        // Full-width digits and letters, common in Japanese text, are taken for their half-width forms.
        let characters = text.map(halfWidth)
        let bare = characters.filter { !brackets.contains($0) && !$0.isWhitespace }
        if bare.count == 1, let label = label(bare[0], like: model) ?? label(Character(bare[0].uppercased()), like: model) { return label }
        let lowered = String(characters).lowercased()
        if lowered.count == characters.count, let start = cues.compactMap({ end(ofLast: $0, in: lowered) }).max(),
            let label = labels(in: Array(characters[start...]), like: model).first
        {
            return label
        }
        if let label = leadingLabel(of: characters, like: model) { return label }
        let found = Set(labels(in: characters, like: model))
        return found.count == 1 ? found.first : nil
    }

    /// The label that a choice is quoted with. A comma does not mark it, for that would be the first of several.
    private static func leadingLabel(of characters: [Character], like model: Character?) -> Character? {
        let start = characters.drop { $0.isWhitespace || "([（「*".contains($0) }
        guard let first = start.first, let label = label(first, like: model), let mark = start.dropFirst().first,
            ".):。]」".contains(mark), mark != "." || start.dropFirst(2).first?.isNumber != true
        else { return nil }
        return label
    }

    private static func halfWidth(_ character: Character) -> Character {
        guard let scalar = character.unicodeScalars.first, character.unicodeScalars.count == 1,
            (0xFF01...0xFF5E).contains(scalar.value), let narrow = Unicode.Scalar(scalar.value - 0xFEE0)
        else { return character }
        return Character(narrow)
    }

    private static func label(_ character: Character, like model: Character?) -> Character? {
        let isDigit = ("0"..."9").contains(character)
        let isLetter = ("A"..."J").contains(character)
        guard isDigit || isLetter else { return nil }
        if let model, ("0"..."9").contains(model) != isDigit { return nil }
        return character
    }

    /// Labels that stand alone: no Latin letter and no digit on either side.
    private static func labels(in characters: [Character], like model: Character?) -> [Character] {
        func joins(_ index: Int) -> Bool {
            guard characters.indices.contains(index) else { return false }
            return characters[index].isASCII && (characters[index].isLetter || characters[index].isNumber)
        }
        return characters.indices.compactMap { index in
            joins(index - 1) || joins(index + 1) ? nil : label(characters[index], like: model)
        }
    }

    private static func end(ofLast cue: String, in text: String) -> Int? {
        let haystack = Array(text)
        let needle = Array(cue)
        guard haystack.count >= needle.count else { return nil }
        for start in stride(from: haystack.count - needle.count, through: 0, by: -1)
        where haystack[start] == needle[0] && haystack[start..<(start + needle.count)].elementsEqual(needle) {
            return start + needle.count
        }
        return nil
    }
}
