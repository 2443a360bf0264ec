import Glibc

/// The file that holds the token of a daemon that is reachable from other machines.
enum TokenFile {
    static func read(_ path: String) throws(SettingsError) -> String {
        guard let file = fopen(path, "r") else { throw SettingsError(message: "\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        let token = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard !token.isEmpty else { throw SettingsError(message: "\(path) holds no token") }
        return token
    }

    /// The token of a file; makes one, readable by the service's user alone, where there is no file yet.
    static func readOrCreate(_ path: String, make: () -> String) throws(SettingsError) -> String {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST { return try read(path) }
            throw SettingsError(message: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let token = make()
        let line = Array((token + "\n").utf8)
        guard write(descriptor, line, line.count) == line.count, fsync(descriptor) == 0 else {
            throw SettingsError(message: "\(path): \(String(cString: strerror(errno)))")
        }
        return token
    }
}
