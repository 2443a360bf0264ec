import Glibc
import Specification

/// Looks at paths that a spec names.
enum PathProbe {
    @Sendable static func kind(of path: String) -> PathKind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR ? .directory : .file
    }
}
