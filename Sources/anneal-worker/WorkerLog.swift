import Glibc

/// The worker's own log: lines on its standard output, written at once.
enum WorkerLog {
    static func line(_ text: String) {
        var bytes = Array(text.utf8)
        bytes.append(0x0A)
        // A log that cannot be written must not end the work.
        _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}
