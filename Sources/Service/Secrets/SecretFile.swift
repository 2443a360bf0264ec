import Glibc
import Specification

/// The file of secrets: lines `NAME=value`, blank lines, and lines that begin with `#`. A value may stand in quotes.
enum SecretFile {
    /// The secrets of a file that its owner alone may read. Errors name lines and never quote them.
    static func read(_ path: String) throws(ServiceError) -> [String: String] {
        guard let text = text(try content(of: path, isGuarded: false)) else {
            throw ServiceError(.unavailable, "the file of secrets \(path) is no text in UTF-8, or holds a NUL character")
        }
        var secrets: [String: String] = [:]
        for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let line = trimmed(Substring(line))
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard let sign = line.firstIndex(of: "="), case let name = String(trimmed(line[..<sign])), NameRule.variable.matches(name)
            else {
                throw ServiceError(.unavailable, "\(path), line \(index + 1): write NAME=value")
            }
            let value = unquoted(trimmed(line[line.index(after: sign)...]))
            guard !value.isEmpty else { throw ServiceError(.unavailable, "\(path), line \(index + 1): the secret '\(name)' is empty") }
            secrets[name] = String(value)
        }
        return secrets
    }

    /// The bytes of a protected file. It must be a plain file of this user or of root; where nothing else guards it, nobody else may have
    /// any right to it.
    static func content(of path: String, isGuarded: Bool) throws(ServiceError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ServiceError(.unavailable, "the file of secrets \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ServiceError(.unavailable, "the file of secrets \(path) is no plain file")
        }
        let rights = status.st_mode & 0o777
        guard isGuarded || rights & 0o077 == 0 else {
            let mode = String(rights, radix: 8)
            throw ServiceError(
                .unavailable, "the file of secrets \(path) has mode \(mode), so others could read it; run: chmod 600 \(path)")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw ServiceError(
                .unavailable,
                "the file of secrets \(path) belongs to user \(status.st_uid); it must belong to the daemon's own, \(geteuid())")
        }
        var bytes = [UInt8](repeating: 0, count: ServiceLimits.secretFileBytesMax + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress?.advanced(by: length), $0.count - length) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw ServiceError(.unavailable, "the file of secrets \(path) cannot be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 { return Array(bytes[..<length]) }
            length += count
        }
        throw ServiceError(.tooLarge, "the file of secrets \(path) has more than \(ServiceLimits.secretFileBytesMax) bytes")
    }

    /// `nil` for bytes that are no text or could not be the value of a variable.
    static func text(_ bytes: [UInt8]) -> String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let last = text.utf8.last, [0x20, 0x09, 0x0D].contains(last) { text = text.dropLast() }
        return text.drop { $0 == " " || $0 == "\t" }
    }

    private static func unquoted(_ text: Substring) -> Substring {
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return text.dropFirst().dropLast()
        }
        return text
    }
}
