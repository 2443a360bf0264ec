import CPosix
import Glibc

/// Files of /proc and /sys, which are short and tell no size beforehand.
enum SmallFile {
    private static let bytesMax = 65_536

    /// The text of the file, or of its first 64 KiB; `nil` where it cannot be read.
    static func text(of path: String) -> String? {
        let file = cposix_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < bytesMax {
            let count = read(file, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
