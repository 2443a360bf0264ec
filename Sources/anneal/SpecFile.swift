import Glibc

/// A spec document as the user names it: a file, or standard input.
struct SpecFile {
    /// Larger files are no specs; the daemon has a limit of its own below this.
    static let bytesMax = 16 << 20

    let bytes: [UInt8]
    /// The name that leads the messages about faults in the document.
    let name: String
    /// `application/json` or `application/yaml`.
    let mediaType: String
    /// The absolute folder against which the document's relative paths are meant.
    let baseDirectory: String

    /// Reads the file at `path`, or standard input for `-`.
    init(_ path: String) throws {
        let isStandardInput = path == "-"
        name = isStandardInput ? "standard input" : path
        bytes = try FileContent.read(isStandardInput ? nil : path, limit: Self.bytesMax)
        let slash = path.lastIndex(of: "/")
        let folder = isStandardInput || slash == nil ? "." : String(path[...(slash ?? path.startIndex)])
        guard let absolute = realpath(folder, nil) else { throw FileContent.failure(folder) }
        defer { free(absolute) }
        baseDirectory = String(cString: absolute)
        mediaType = Self.isJSON(name: path, bytes: bytes) ? "application/json" : "application/yaml"
    }

    /// JSON by the file's name, or by a first character that begins an object. (YAML would read most JSON too, but its messages
    /// about broken JSON are worse.)
    private static func isJSON(name: String, bytes: [UInt8]) -> Bool {
        if name.hasSuffix(".json") { return true }
        if name.hasSuffix(".yaml") || name.hasSuffix(".yml") { return false }
        return bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "{")
    }
}

/// Whole files.
enum FileContent {
    /// Reads the file at `path`, or standard input for `nil`, up to `limit` bytes.
    static func read(_ path: String?, limit: Int) throws -> [UInt8] {
        let descriptor = path.map { open($0, O_RDONLY | O_CLOEXEC) } ?? STDIN_FILENO
        guard descriptor >= 0 else { throw failure(path ?? "standard input") }
        defer { if path != nil { close(descriptor) } }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path ?? "standard input") }
            if count == 0 { return content }
            content += buffer[..<count]
            guard content.count <= limit else {
                throw CommandFailure(.usage, "\(path ?? "standard input") is larger than \(limit) bytes, too large for a spec")
            }
        }
    }

    /// The failure of the last system call on `path`.
    static func failure(_ path: String) -> CommandFailure {
        CommandFailure(.usage, "cannot read \(path): \(String(cString: strerror(errno)))")
    }
}
