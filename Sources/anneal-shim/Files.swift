import CPosix
import Glibc

/// Reads a file of at most `limit` bytes; `nil` with errno where it cannot be read or is longer (EFBIG).
func readFile(_ name: String, at directory: Int32, limit: Int) -> [UInt8]? {
    let file = cposix_open(directory, name, O_RDONLY | O_CLOEXEC, 0)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(file, &chunk, chunk.count)
        if count < 0 {
            if errno == EINTR { continue }
            return nil
        }
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<count])
        if bytes.count > limit {
            errno = EFBIG
            return nil
        }
    }
}

func readText(_ name: String, at directory: Int32, limit: Int) -> String? {
    readFile(name, at: directory, limit: limit).map { String(decoding: $0, as: UTF8.self) }
}

/// Writes all of `bytes`; false with errno where that fails.
func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    var offset = 0
    while offset < bytes.count {
        let count = bytes.withUnsafeBytes { write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
        if count < 0 {
            if errno == EINTR { continue }
            return false
        }
        offset += count
    }
    return true
}
