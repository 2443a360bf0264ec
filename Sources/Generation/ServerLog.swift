import Datasets
import Glibc

/// The file that a server's output goes to.
struct ServerLog {
    /// Lines of the log that a failure shows.
    static let tailLinesMax = 30
    private static let tailBytesMax = 8192
    /// Bytes from the end of the log that are searched for the cause of an end.
    private static let searchedBytesMax = 256 << 10

    let path: String
    /// Where the output of the present process begins.
    private let start: Int

    /// Opens the file for appending; the caller closes the descriptor.
    static func open(path: String) throws(FileError) -> (log: ServerLog, descriptor: Int32) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        return (ServerLog(path: path, start: Int(lseek(descriptor, 0, SEEK_END))), descriptor)
    }

    /// The last lines that the present process wrote; empty where none can be read.
    func tail() -> String {
        let lines = end(bytesMax: Self.tailBytesMax).split(separator: "\n")
        return lines.suffix(Self.tailLinesMax).joined(separator: "\n")
    }

    /// What is searched for the cause of an end.
    func searchedEnd() -> String { end(bytesMax: Self.searchedBytesMax) }

    private func end(bytesMax: Int) -> String {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let end = Int(lseek(descriptor, 0, SEEK_END))
        let from = max(start, end - bytesMax)
        guard end > from else { return "" }
        var bytes = [UInt8](repeating: 0, count: end - from)
        let count = pread(descriptor, &bytes, bytes.count, off_t(from))
        guard count > 0 else { return "" }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
