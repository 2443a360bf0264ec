/// Bounds on what servers send, in one place; each has a test at the limit and one past it.
enum GenerationLimits {
    /// Bytes of an answer, whole or as a stream. A million tokens of plain text are a third of it.
    static let answerBytesMax = 16 << 20
    /// Bytes of one line of a stream; more is no stream of tokens.
    static let streamLineBytesMax = 8 << 20
}
