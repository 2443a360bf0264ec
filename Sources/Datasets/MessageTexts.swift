import JSON

/// Writes the chat record of a question as text in Python's layout, from texts that need no escapes.
///
/// The constant pieces lie behind each other in memory that is never given back, so that a record is a row of copies.
struct MessageTexts: Sendable {
    /// A piece by its place.
    private struct Piece {
        var start: Int
        var count: Int
    }

    // Written once, in `init`, and only read afterwards.
    private nonisolated(unsafe) let base: UnsafeMutablePointer<UInt8>
    private let start, choices, answer, info, end: Piece
    private let indents: (Piece, Piece, Piece, Piece, Piece)
    private let constantCount: Int

    init(opening: String, choicesHeading: String, closing: String, thinking: String) {
        var bytes: [UInt8] = []
        func piece(_ literal: String, _ quoted: String = "", _ after: String = "") -> Piece {
            let start = bytes.count
            bytes += literal.utf8
            var text: [UInt8] = []
            JSONWriter.appendQuoted(quoted, to: &text)
            bytes += text.dropFirst().dropLast()
            bytes += after.utf8
            return Piece(start: start, count: bytes.count - start)
        }
        start = piece(#"{"messages": [{"role": "user", "content": ""#, opening)
        choices = piece("", choicesHeading)
        func indent(_ slot: Int) -> Piece { piece("", (slot == 0 ? "" : "\n") + "    \(slot). ") }
        indents = (indent(0), indent(1), indent(2), indent(3), indent(4))
        let before = piece("", closing, #""}, {"role": "assistant", "content": ""#)
        let after = piece("", thinking)
        answer = Piece(start: before.start, count: before.count + after.count)
        info = piece(#""}], "extra_env_info": {"dataset_type": "\#(JCommonsenseQA.datasetType)", "ground_truth": ""#)
        end = piece(#""}}"#)
        base = .allocate(capacity: bytes.count)
        base.initialize(from: bytes, count: bytes.count)
        // Two digits tell the answer.
        constantCount = bytes.count + 2
    }

    /// Appends the record of a question, its choices in their order, and the number of the right one.
    func append(
        question: UnsafeBufferPointer<UInt8>, choice: (Int) -> UnsafeBufferPointer<UInt8>, answer number: UInt8, to output: inout [UInt8]
    ) {
        let total = (0..<5).reduce(constantCount + question.count) { $0 + choice($1).count }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: total) { record in
            var filled = 0
            func put(_ text: UnsafePointer<UInt8>?, _ count: Int) {
                guard let text, let target = record.baseAddress else { return }
                (target + filled).initialize(from: text, count: count)
                filled += count
            }
            func put(_ piece: Piece) { put(base + piece.start, piece.count) }
            put(start)
            put(question.baseAddress, question.count)
            put(choices)
            withUnsafeBytes(of: indents) { raw in
                let indents = raw.assumingMemoryBound(to: Piece.self)
                for slot in 0..<5 {
                    put(indents[slot])
                    let text = choice(slot)
                    put(text.baseAddress, text.count)
                }
            }
            var digit = UInt8(ascii: "0") + number
            put(answer)
            put(&digit, 1)
            put(info)
            put(&digit, 1)
            put(end)
            output.append(contentsOf: UnsafeBufferPointer(rebasing: record[..<filled]))
        }
    }
}
