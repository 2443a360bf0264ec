import Glibc

/// The terminal behind a file descriptor.
public struct TerminalDevice: Sendable {
    private let descriptor: Int32

    public static let standardOutput = TerminalDevice(descriptor: STDOUT_FILENO)
    public static let standardError = TerminalDevice(descriptor: STDERR_FILENO)

    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// False where the output goes to a file or a pipe.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// True where lines may be drawn over: a terminal that understands escape sequences.
    public var canRedraw: Bool { isTerminal && Self.variable("TERM") != "dumb" }

    /// True where colours are wanted: a terminal, and `NO_COLOR` unset or empty (no-color.org).
    public var wantsColour: Bool { canRedraw && (Self.variable("NO_COLOR") ?? "").isEmpty }

    /// Columns and rows; `nil` where there is no terminal or it does not know its size.
    public var size: (columns: Int, rows: Int)? {
        var size = winsize()
        guard isTerminal, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
