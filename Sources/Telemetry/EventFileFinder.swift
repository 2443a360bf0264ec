import Glibc

/// An event file of TensorBoard, as a look at the folder found it.
public struct FoundEventFile: Sendable, Equatable {
    public var path: String
    public var inode: UInt64
    public var bytes: Int64
    /// Seconds since 1970.
    public var modified: Double
}

/// Looks for event files anywhere below a folder. Blocks: call it off the loop.
public enum EventFileFinder {
    /// Every file named `…tfevents…` below `folder`, links not followed; at most `TelemetryLimits.eventFilesMax` of them.
    public static func find(below folder: String) -> [FoundEventFile] {
        var found: [FoundEventFile] = []
        var folders = [(folder, 0)]
        var seen = 0
        while let (path, depth) = folders.popLast(), seen < TelemetryLimits.eventFoldersMax {
            seen += 1
            guard let handle = opendir(path) else { continue }
            defer { closedir(handle) }
            while let entry = readdir(handle), found.count < TelemetryLimits.eventFilesMax {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard name != ".", name != ".." else { continue }
                let full = path + "/" + name
                let isFile = name.contains("tfevents")
                guard isFile || entry.pointee.d_type == UInt8(DT_DIR) || entry.pointee.d_type == UInt8(DT_UNKNOWN) else { continue }
                var status = stat()
                guard lstat(full, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    if depth < TelemetryLimits.eventFolderDepthMax { folders.append((full, depth + 1)) }
                } else if isFile, status.st_mode & S_IFMT == S_IFREG {
                    let modified = Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
                    found.append(
                        FoundEventFile(path: full, inode: UInt64(status.st_ino), bytes: Int64(status.st_size), modified: modified))
                }
            }
        }
        return found.sorted { $0.path < $1.path }
    }
}
