import Glibc
import Specification

/// Looks at paths that a spec names.
enum PathProbe {
    @Sendable static func kind(of path: String) -> PathKind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR ? .directory : .file
    }

    /// The bytes of a file, for a check that tells what is wrong with a longer one; `nil` where it cannot be read.
    @Sendable static func content(of path: String) -> [UInt8]? {
        guard kind(of: path) == .file, let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: SpecLimits.documentBytesMax + 1)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }

    /// What stands at a path, or what its name looks like where nothing does: a file where it has an extension, else a folder.
    @Sendable static func assumedKind(of path: String) -> PathKind? {
        kind(of: path) ?? (hasExtension(path) ? .file : .directory)
    }

    /// Versions in models' names, as in `Qwen2.5-14B`, are no extensions.
    private static func hasExtension(_ path: String) -> Bool {
        let parts = (path.split(separator: "/").last ?? "").split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count > 1, let ending = parts.last, let first = ending.first else { return false }
        return first.isLetter && ending.allSatisfy { $0.isLetter || $0.isNumber }
    }
}
