import JSON

/// JCommonsenseQA questions, or the messages made of them, with their answers in the index.
///
/// Rebalancing changes only the index; the texts are put into their new order when a record is read.
final class QuestionRecords: RecordCollection {
    /// What the index knows of a record's answer.
    private enum Answer {
        /// Values below are the number of the right choice.
        static let none: UInt8 = 5
        static let other: UInt8 = 6
        static let noQuestion: UInt8 = 7
        static let mask: UInt8 = 0x0F
        /// The record is held as the plain texts of its question and its choices, not as JSON.
        static let isCompact: UInt8 = 0x10
    }

    private static let slots = JCommonsenseQA.choiceKeys.count
    /// Choice `k` at place `k`, three bits each.
    private static let identity: UInt16 = 0o43210

    private let spool: RecordSpool
    private var starts: [Int] = [0]
    private var lines: [Int32] = []
    private var answers: [UInt8] = []
    private var permutations: [UInt16] = []
    private var isConverted = false
    private let writer = JSONWriter(layout: .python)
    private var text: [UInt8] = []
    /// The order of one record's choices while it is drawn.
    private var others: [UInt16] = []

    init(spool: RecordSpool) { self.spool = spool }

    var count: Int { lines.count }

    // MARK: Filling

    /// Appends a question that the scanner has found in `bytes`: four bytes for the length of each text, then the texts.
    func append(_ question: QuestionScanner.Question, in bytes: UnsafeBufferPointer<UInt8>, line: Int) throws {
        text.removeAll(keepingCapacity: true)
        let (a, b, c, d, e) = question.choices
        withUnsafeTemporaryAllocation(of: Range<Int>.self, capacity: 6) { ranges in
            for (slot, range) in [question.question, a, b, c, d, e].enumerated() { ranges.initializeElement(at: slot, to: range) }
            for range in ranges {
                let length = UInt32(range.count)
                for shift in stride(from: UInt32(0), to: 32, by: 8) { text.append(UInt8(truncatingIfNeeded: length >> shift)) }
            }
            for range in ranges { text.append(contentsOf: bytes[range]) }
        }
        try add(line: line, answer: question.answer | Answer.isCompact)
    }

    func append(_ record: PreparedRecord) throws {
        text.removeAll(keepingCapacity: true)
        writer.append(record.value, to: &text)
        try add(line: record.line, answer: Self.answer(of: record.value))
    }

    private func add(line: Int, answer: UInt8) throws {
        try spool.append(text)
        starts.append(starts[starts.count - 1] + text.count)
        lines.append(Int32(clamping: line))
        answers.append(answer)
    }

    private static func answer(of record: JSONValue) -> UInt8 {
        guard let data = record["jcqa_data"]?.object else { return Answer.noQuestion }
        switch data["answer_index"] {
        case nil, .null?: return Answer.none
        case .int(let number)? where (0..<Int64(slots)).contains(number): return UInt8(number)
        default: return Answer.other
        }
    }

    // MARK: Steps

    /// Moves right answers between the five choices so that each choice is right equally often.
    ///
    /// Without it a model can learn which position is likely instead of what is true. With `isOriginal` records without an answer
    /// take a share of the targets. `log` is told the counts before, the targets and the counts after.
    func rebalance(seed: Int, isOriginal: Bool, log: (String) -> Void) throws {
        var random = MersenneTwister(seed: seed)
        var before = LabelCounts()
        var positions: [UInt32] = []
        positions.reserveCapacity(count)
        for index in 0..<count {
            guard let label = try label(at: index) else { throw unusable(index, "'jcqa_data' is no object") }
            if !label.isEmpty { before.add(label) }
            if isOriginal || !label.isEmpty { positions.append(UInt32(index)) }
        }
        log("label counts before rebalancing: \(before)")
        guard !positions.isEmpty else { return log("no jcqa records to rebalance") }
        let targets = (0..<Self.slots).map { positions.count / Self.slots + ($0 < positions.count % Self.slots ? 1 : 0) }
        log("target counts: \(Self.text(targets))")
        if permutations.isEmpty { permutations = [UInt16](repeating: Self.identity, count: count) }
        random.shuffle(&positions)
        var current = [Int](repeating: 0, count: Self.slots)
        var available = Array(0..<Self.slots)
        for position in positions {
            available.removeAll { current[$0] >= targets[$0] }
            let target = random.choice(available.isEmpty ? Array(0..<Self.slots) : available)
            current[target] += 1
            try move(Int(position), to: target, using: &random)
        }
        log("label counts after rebalancing: \(Self.text(current))")
    }

    private func move(_ position: Int, to target: Int, using random: inout MersenneTwister) throws {
        let answer = answers[position] & Answer.mask
        // Only the original's mode lets records without an answer come here.
        if answer == Answer.none { return }
        guard answer < Self.slots else {
            let index = try data(at: position)["answer_index"] ?? .null
            throw unusable(position, "'answer_index' is \(index), not a number from 0 to \(Self.slots - 1)")
        }
        let old = permutations[position]
        others.removeAll(keepingCapacity: true)
        for choice in 0..<UInt16(Self.slots) where choice != answer { others.append(choice) }
        random.shuffle(&others)
        others.insert(UInt16(answer), at: target)
        var new: UInt16 = 0
        for (slot, from) in others.enumerated() { new |= (old >> (3 * from) & 7) << (3 * UInt16(slot)) }
        permutations[position] = new
        answers[position] = UInt8(target) | (answers[position] & Answer.isCompact)
    }

    /// The original program fails on such a record; in the standard mode it was left out before.
    private func unusable(_ index: Int, _ detail: String) -> DatasetError {
        let line = Int(lines[index])
        return DatasetError(
            .badData, "line \(line): \(detail); the original program fails on this record too",
            issues: [DatasetIssue(line: line, pointer: "/jcqa_data", detail: detail)])
    }

    private static func text(_ counts: [Int]) -> String {
        "{" + counts.enumerated().map { "'\($0.offset)': \($0.element)" }.joined(separator: ", ") + "}"
    }

    /// From now on the records are messages. Throws where a record holds no question.
    func convert() throws {
        for index in 0..<count where answers[index] & Answer.isCompact == 0 {
            guard let data = try parsed(index)["jcqa_data"]?.object, data["question"] != nil else {
                throw DatasetError(
                    .badData, "line \(lines[index]): 'jcqa_data' holds no question; the original program fails on it too")
            }
        }
        isConverted = true
    }

    // MARK: Reading

    func label(at index: Int) throws -> String? {
        switch answers[index] & Answer.mask {
        case 0..<UInt8(Self.slots): JCommonsenseQA.digits[Int(answers[index] & Answer.mask)]
        case Answer.none: ""
        case Answer.noQuestion: nil
        default: JCommonsenseQA.label(of: try data(at: index))
        }
    }

    func record(at index: Int) throws -> PreparedRecord {
        guard answers[index] & Answer.isCompact == 0 else {
            var output: [UInt8] = []
            try appendText(at: index, to: &output)
            return PreparedRecord(value: try JSONParser.parse(output, options: .spooled), line: Int(lines[index]))
        }
        var value = try parsed(index)
        if !permutations.isEmpty, permutations[index] != Self.identity, case .object(var members) = value {
            members["jcqa_data"] = .object(permuted(try data(at: index), index))
            value = .object(members)
        }
        if isConverted, let data = value["jcqa_data"]?.object { value = JCommonsenseQA.messages(from: data) }
        return PreparedRecord(value: value, line: Int(lines[index]))
    }

    func appendText(at index: Int, to output: inout [UInt8]) throws {
        guard answers[index] & Answer.isCompact != 0 else { return writer.append(try record(at: index).value, to: &output) }
        let order = permutations.isEmpty ? Self.identity : permutations[index]
        try spool.withBytes(starts[index]..<starts[index + 1], scratch: &text) { bytes in
            var ends: (Int, Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0, 0)
            withUnsafeMutableBytes(of: &ends) { raw in
                let ends = raw.assumingMemoryBound(to: Int.self)
                var end = 24
                for slot in 0..<6 {
                    for byte in (0..<4).reversed() { ends[slot] = ends[slot] << 8 | Int(bytes[slot * 4 + byte]) }
                    end += ends[slot]
                    ends[slot] = end
                }
                JCommonsenseQA.texts.append(
                    question: UnsafeBufferPointer(rebasing: bytes[24..<ends[0]]),
                    choice: { slot in
                        let from = Int(order >> (3 * UInt16(slot)) & 7)
                        return UnsafeBufferPointer(rebasing: bytes[ends[from]..<ends[from + 1]])
                    }, answer: answers[index] & Answer.mask, to: &output)
            }
        }
    }

    private func parsed(_ index: Int) throws -> JSONValue {
        try spool.read(starts[index]..<starts[index + 1], into: &text)
        return try JSONParser.parse(text, options: .spooled)
    }

    private func data(at index: Int) throws -> JSONObject { try parsed(index)["jcqa_data"]?.object ?? [:] }

    private func permuted(_ data: JSONObject, _ index: Int) -> JSONObject {
        var moved = data
        for (slot, key) in JCommonsenseQA.choiceKeys.enumerated() {
            let from = Int(permutations[index] >> (3 * UInt16(slot)) & 7)
            moved[key] = data[JCommonsenseQA.choiceKeys[from]] ?? ""
        }
        moved["answer_index"] = .int(Int64(answers[index] & Answer.mask))
        return moved
    }
}
