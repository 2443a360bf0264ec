import APITypes
import Glibc
import JSON
import Terminal

/// What the commands print.
enum Output {
    static let terminal = TerminalDevice.standardOutput

    /// The columns that tables may take; `nil` where the output is no terminal and nothing is cut.
    static var columns: Int? { terminal.size?.columns }

    static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    static func write(_ bytes: [UInt8], to descriptor: Int32 = STDOUT_FILENO) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            // A reader that went away or a full disk: nobody is left to tell but the caller.
            guard written > 0 else { exit(ExitStatus.failed.rawValue) }
            offset += written
        }
    }

    static func line(_ line: StyledText) { write(line.text(coloured: terminal.wantsColour) + "\n") }

    static func lines(_ lines: [StyledText]) { for line in lines { self.line(line) } }

    /// Prints a table, or `nothing` where it has no rows.
    static func table(_ table: Table, ifEmpty nothing: String) {
        if table.rows.isEmpty { line(StyledText(nothing, .dim)) } else { lines(table.lines(width: columns)) }
    }

    /// Prints a body of the API as it came.
    static func json(_ body: [UInt8]) {
        write(body)
        if body.last != UInt8(ascii: "\n") { write("\n") }
    }

    /// Prints a line on standard error.
    static func complain(_ text: String) { write(Array((text + "\n").utf8), to: STDERR_FILENO) }

    /// Prints why a command failed; with `--json` also the daemon's problem document, on standard output.
    static func report(_ failure: CommandFailure) {
        if CommandLine.arguments.contains("--json"), let document = failure.document { json(document) }
        guard let first = failure.lines.first else { return }
        let lines = ["anneal: \(first)"] + failure.lines.dropFirst().map { "  \($0)" }
        complain(lines.map(\.withoutControls).joined(separator: "\n"))
    }
}
