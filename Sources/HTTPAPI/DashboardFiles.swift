import Glibc

/// The dashboard's files: its own folder, and the chart library as Debian installs it.
///
/// They are read when they are asked for and kept until they change on the disk.
final class DashboardFiles {
    struct File {
        let bytes: [UInt8]
        let type: String
        /// Changes with the content.
        let tag: String
        fileprivate let modified: Int
    }

    /// Where packages of chart libraries put their files.
    private static let libraryFolders = ["/usr/share/javascript/dygraphs", "/usr/share/nodejs/dygraphs/dist"]
    private static let types = [
        "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
        "map": "application/json",
    ]
    private static let bytesMax = 4 * 1024 * 1024

    private let folders: [String]
    private var kept: [String: File] = [:]

    /// - Parameter folder: the dashboard's own folder; `nil` where it is not installed.
    init(folder: String?) { folders = [folder].compactMap { $0 } + (folder.map { [$0 + "/vendor"] } ?? []) + Self.libraryFolders }

    /// The file of this name; `nil` where there is none.
    func file(_ name: String) -> File? {
        // A plain name of a known type: nothing else of the folders is anybody's business.
        guard name.utf8.allSatisfy({ Self.isPlain($0) }), !name.hasPrefix("."), let ending = name.split(separator: ".").last,
            let type = Self.types[String(ending)]
        else { return nil }
        for folder in folders {
            let path = folder + "/" + name
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.bytesMax else { continue }
            let modified = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
            if let file = kept[path], file.modified == modified { return file }
            // One that cannot be read is as good as missing.
            guard let bytes = try? FileStreaming.whole(path: path, bytes: Int64(status.st_size)) else { continue }
            let file = File(bytes: bytes, type: type, tag: "\"\(modified)-\(bytes.count)\"", modified: modified)
            kept[path] = file
            return file
        }
        return nil
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D || byte == 0x2E
            || byte == 0x5F
    }
}
