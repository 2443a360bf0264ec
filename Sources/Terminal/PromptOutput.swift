import Glibc

/// Writes to the terminal of standard output without ever waiting for it, as handlers of signals must.
///
/// A terminal that takes nothing, such as one behind a stalled connection, would otherwise keep the process from ending.
public enum PromptOutput {
    /// Opens the terminal a second time, as not to wait is a property of an open file that others share. Call it before any handler is
    /// set; it does nothing the second time.
    public static func open() {
        guard terminal < 0 else { return }
        var path = [CChar](repeating: 0, count: 256)
        guard ttyname_r(STDOUT_FILENO, &path, path.count) == 0 else { return }
        terminal = Glibc.open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    }

    /// Writes `text`. Where the terminal has no room for it, what it has not shown yet is dropped first. Fit for handlers.
    public static func write(_ text: StaticString) {
        guard terminal >= 0 else {
            // What is no terminal, or one that cannot be opened again.
            Glibc.write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount)
            return
        }
        if Glibc.write(terminal, text.utf8Start, text.utf8CodeUnitCount) == text.utf8CodeUnitCount { return }
        tcflush(terminal, TCOFLUSH)
        Glibc.write(terminal, text.utf8Start, text.utf8CodeUnitCount)
    }
}

// Written by `open` before any handler is set, and only read after.
nonisolated(unsafe) private var terminal: Int32 = -1
