import Glibc

/// An event file of TensorBoard, as a look at the folder found it.
public struct FoundEventFile: Sendable, Equatable {
    public var path: String
    public var inode: UInt64
    public var bytes: Int64
    /// Seconds since 1970.
    public var modified: Double
    /// Stands before its keys, so that equal tags of files that belong together stay apart; empty for most.
    public var prefix = ""
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
        let begin = folder.utf8.count + 1
        let parents = Set(found.map { String($0.path[..<($0.path.lastIndex(of: "/") ?? $0.path.startIndex)]) })
        for index in found.indices { found[index].prefix = prefix(of: found[index].path, parents: parents, rootBytes: begin) }
        return found.sorted { $0.path < $1.path }
    }

    /// Names of folders that Keras and others write the same tags to, one for each split of the data.
    private static let splits: Set<Substring> = ["train", "training", "val", "valid", "validation", "eval", "evaluation", "test"]

    /// The part of a path that tells a file's tags from those of others: where its folder lies below another that has event files (as
    /// `SummaryWriter.add_scalars` makes them), the way from there; else the folder's name where it is that of a split.
    ///
    /// Folders beside one another are as a rule starts of one training, whose curves are one.
    private static func prefix(of path: String, parents: Set<String>, rootBytes: Int) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        for count in stride(from: parts.count - 1, to: 0, by: -1) {
            let ancestor = parts.prefix(count).joined(separator: "/")
            guard ancestor.utf8.count + 1 >= rootBytes else { break }
            if parents.contains(ancestor) { return parts.dropFirst(count).joined(separator: "/") + "/" }
        }
        guard let last = parts.last, parts.joined(separator: "/").utf8.count >= rootBytes, splits.contains(last) else { return "" }
        return last + "/"
    }
}
