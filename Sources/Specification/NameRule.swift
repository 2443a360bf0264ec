/// What a name may look like.
public struct NameRule: Sendable {
    /// The rule in words, for messages.
    public var description: String
    private let first: @Sendable (UInt8) -> Bool
    private let rest: @Sendable (UInt8) -> Bool
    private let bytesMax: Int
    private let bytesMin: Int

    private init(
        description: String, first: @escaping @Sendable (UInt8) -> Bool, rest: @escaping @Sendable (UInt8) -> Bool, bytesMax: Int,
        bytesMin: Int = 1
    ) {
        (self.description, self.first, self.rest, self.bytesMax, self.bytesMin) = (description, first, rest, bytesMax, bytesMin)
    }

    /// True where `text` follows the rule.
    public func matches(_ text: String) -> Bool {
        guard let start = text.utf8.first, (bytesMin...bytesMax).contains(text.utf8.count) else { return false }
        return first(start) && text.utf8.dropFirst().allSatisfy(rest)
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetterOrDigit(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }
    private static let dotted: @Sendable (UInt8) -> Bool = { isLetterOrDigit($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }

    /// Names of experiments, projects and benchmarks: `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`.
    public static let experiment = NameRule(
        description: "a letter or digit, then up to 99 letters, digits, '.', '_' or '-'", first: isLetterOrDigit, rest: dotted,
        bytesMax: 100)

    /// Names under which datasets are registered: `^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`.
    public static let dataset = NameRule(
        description: "a letter or digit, then up to 199 letters, digits, '.', '_' or '-'", first: isLetterOrDigit, rest: dotted,
        bytesMax: 200)

    /// Names of jobs: `^[A-Za-z][A-Za-z0-9_-]{0,63}$`.
    public static let job = NameRule(
        description: "a letter, then up to 63 letters, digits, '_' or '-'", first: isLetter,
        rest: { isLetterOrDigit($0) || $0 == 0x5F || $0 == 0x2D }, bytesMax: 64)

    /// Names of a command's outputs: `^[A-Za-z][A-Za-z0-9._-]{0,63}$`.
    public static let output = NameRule(
        description: "a letter, then up to 63 letters, digits, '.', '_' or '-'", first: isLetter, rest: dotted, bytesMax: 64)

    /// Names of environment variables (POSIX.1-2024, XBD 8.1) and keys of a matrix.
    public static let variable = NameRule(
        description: "a letter or '_', then letters, digits or '_'", first: { isLetter($0) || $0 == 0x5F },
        rest: { isLetterOrDigit($0) || $0 == 0x5F }, bytesMax: 255)

    /// Names of a server's flags, without the leading dashes.
    public static let flag = NameRule(
        description: "a letter, then letters, digits, '_', '-' or '.'", first: isLetter, rest: dotted, bytesMax: 100)

    /// Keys of `tags`.
    public static let tag = NameRule(
        description: "a letter or digit, then up to 99 letters, digits, '.', '_', '-' or '/'", first: isLetterOrDigit,
        rest: { dotted($0) || $0 == 0x2F }, bytesMax: 100)

    /// Metrics of an evaluation, such as `accuracy`, `pass@8` or `arithmetic/accuracy`.
    public static let metric = NameRule(
        description: "letters, digits, '.', '_', '-', '/' or '@'", first: isLetterOrDigit,
        rest: { dotted($0) || $0 == 0x2F || $0 == 0x40 }, bytesMax: 200)

    /// A SHA-256 in hexadecimal.
    public static let sha256 = NameRule(
        description: "64 hexadecimal digits",
        first: { isDigit($0) || (0x61...0x66).contains($0 | 0x20) }, rest: { isDigit($0) || (0x61...0x66).contains($0 | 0x20) },
        bytesMax: 64, bytesMin: 64)
}
