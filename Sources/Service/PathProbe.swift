import Glibc
import Specification

/// Looks at paths that a spec names.
enum PathProbe {
    @Sendable static func kind(of path: String) -> PathKind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR ? .directory : .file
    }

    /// What stands at a path, or what its name looks like where nothing does: a file where it has an extension, else a folder.
    @Sendable static func assumedKind(of path: String) -> PathKind? {
        let name = path.split(separator: "/").last ?? ""
        return kind(of: path) ?? (name.contains(".") ? .file : .directory)
    }
}
