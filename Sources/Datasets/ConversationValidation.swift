import JSON

// The vision-language form: an image and the turns of human and gpt about it.
extension RecordProblems {
    private static let imageToken = "<image>"
    private static let speakers = ["human": "gpt", "user": "assistant"]
    private static let systems: Set<String> = ["system"]

    /// Checks `conversations`, `image` and `id` of a record.
    mutating func check(visual members: JSONObject) {
        let images = check(images: members["image"])
        switch members["id"] {
        case nil, .null?, .string?, .int?: break
        case let other?: add(JSONPointer(["id"]), "is \(DatasetFormat.article(other)); it must be a string or an integer")
        }
        let pointer = JSONPointer(["conversations"])
        guard let value = members["conversations"] else { return add(pointer, "is missing") }
        guard let turns = value.array else { return add(pointer, "is \(DatasetFormat.article(value)); it must be an array") }
        let isLed = turns.first?["from"]?.string.map(Self.systems.contains) ?? false
        for (index, turn) in turns.enumerated() { check(turn: turn, at: pointer / index) }
        check(order: isLed ? turns[1...] : turns[...], at: pointer)
        if let images { check(tokens: turns, isLed: isLed, images: images, at: pointer) }
    }

    /// The number of images; `nil` where they cannot be counted.
    private mutating func check(images value: JSONValue?) -> Int? {
        let pointer = JSONPointer(["image"])
        switch value {
        case nil, .null?: return 0
        case .string(let path)?:
            check(image: path, at: pointer)
            return 1
        case .array(let paths)?:
            for (index, path) in paths.enumerated() {
                guard let text = path.string else {
                    add(pointer / index, "is \(DatasetFormat.article(path)); it must be the path of an image")
                    return nil
                }
                check(image: text, at: pointer / index)
            }
            return paths.count
        case let other?:
            add(pointer, "is \(DatasetFormat.article(other)); it must be the path of an image")
            return nil
        }
    }

    private mutating func check(image path: String, at pointer: JSONPointer) {
        if path.isEmpty { return add(pointer, "is empty") }
        if path.hasPrefix("/") { return add(pointer, "'\(path)' is absolute; it must be relative to the folder of images") }
        if path.contains("://") { return add(pointer, "'\(path)' is a URL; it must be a path inside the folder of images") }
        if path.split(separator: "/").contains("..") { add(pointer, "'\(path)' climbs out of the folder of images") }
    }

    private mutating func check(turn: JSONValue, at pointer: JSONPointer) {
        guard let members = turn.object else {
            return add(pointer, "is \(DatasetFormat.article(turn)); it must be an object with 'from' and 'value'")
        }
        let known = Self.speakers.flatMap { [$0.key, $0.value] } + Self.systems
        switch members["from"] {
        case nil: add(pointer / "from", "is missing")
        case .string(let name)? where known.contains(name): break
        case .string(let name)?: add(pointer / "from", "'\(name)' is none of \(known.sorted().joined(separator: ", "))")
        case let other?: add(pointer / "from", "is \(DatasetFormat.article(other)); it must be a string")
        }
        check(filledText: members["value"], at: pointer / "value")
    }

    /// Human and gpt take turns, and gpt has the last word.
    private mutating func check(order turns: ArraySlice<JSONValue>, at pointer: JSONPointer) {
        guard !turns.isEmpty else { return add(pointer, "holds no turn of human and gpt") }
        for (place, index) in turns.indices.enumerated() {
            guard let name = turns[index]["from"]?.string else { continue }
            let isAsking = Self.speakers[name] != nil
            let isAnswering = Self.speakers.values.contains(name)
            if Self.systems.contains(name) { add(pointer / index / "from", "a system turn comes first or not at all") }
            guard isAsking || isAnswering, isAsking != place.isMultiple(of: 2) else { continue }
            let expected = place.isMultiple(of: 2) ? "human" : "gpt"
            return add(pointer / index / "from", "'\(name)' where '\(expected)' has the turn: human and gpt take turns, human first")
        }
        if !turns.count.isMultiple(of: 2) { add(pointer, "must end with an answer of gpt") }
    }

    /// Each image has its token in the first human turn, and no other turn has one.
    private mutating func check(tokens turns: [JSONValue], isLed: Bool, images: Int, at pointer: JSONPointer) {
        for (index, turn) in turns.enumerated() {
            guard let text = turn["value"]?.string else { continue }
            let count = text.occurrences(of: Self.imageToken)
            if index == (isLed ? 1 : 0) {
                if count == images { continue }
                let place = pointer / index / "value"
                if images == 0 {
                    add(place, "holds \(Self.imageToken), and the record names no image")
                } else if count == 0 {
                    add(place, "lacks \(Self.imageToken), which says where the image goes")
                } else {
                    add(place, "holds \(Self.imageToken) \(count) times for \(images) images")
                }
            } else if count > 0, turn["from"]?.string.map({ Self.speakers[$0] != nil }) ?? false {
                add(pointer / index / "value", "holds \(Self.imageToken), which belongs into the first human turn")
            }
        }
    }
}

extension String {
    /// How often `part` stands in the text, without overlaps.
    fileprivate func occurrences(of part: String) -> Int {
        var count = 0
        let (text, wanted) = (Array(utf8), Array(part.utf8))
        var index = 0
        while index + wanted.count <= text.count {
            if text[index] == wanted[0], text[index..<(index + wanted.count)].elementsEqual(wanted) {
                count += 1
                index += wanted.count
            } else {
                index += 1
            }
        }
        return count
    }
}
