import Glibc

/// What of the machine's files a spec may name: those below some folders, or all that the daemon's user may read.
///
/// It keeps people from reading by accident or by a data set what is not meant for them. It is no wall around the code of jobs, which runs
/// as the daemon's user and reads what that user may.
struct PathPolicy: Sendable {
    /// Absolute; `nil` for no restriction.
    let folders: [String]?

    /// Whether a spec may name an absolute path. Links are followed first, those of the folders too, so that what counts is where the file
    /// is.
    func permits(_ path: String) -> Bool {
        guard let folders else { return true }
        guard let place = Self.resolved(path) else { return false }
        return folders.contains { folder in
            guard let root = Self.resolved(folder) else { return false }
            return place == root || place.hasPrefix(root == "/" ? "/" : root + "/")
        }
    }

    /// What a refused path is answered with.
    func refusal(of path: String) -> String {
        "'\(path)' lies outside the folders that this daemon lets specs read: \((folders ?? []).joined(separator: ", "))"
    }

    /// The path without links, `.` and `..`. Of one at which nothing stands, as much as does is resolved; the rest must not climb.
    private static func resolved(_ path: String) -> String? {
        var names = path.split(separator: "/")
        var missing: [Substring] = []
        while true {
            if let real = realpath("/" + names.joined(separator: "/"), nil) {
                defer { free(real) }
                let found = String(cString: real)
                guard !missing.contains("..") else { return nil }
                let rest = missing.reversed().filter { $0 != "." }.map { "/" + $0 }.joined()
                return found == "/" && !rest.isEmpty ? rest : found + rest
            }
            // What may not be looked at, or has a loop of links, is nobody's to name.
            guard errno == ENOENT || errno == ENOTDIR, let last = names.popLast() else { return nil }
            // A link that leads nowhere now may lead anywhere later.
            var status = stat()
            if lstat("/" + (names + [last]).joined(separator: "/"), &status) == 0, status.st_mode & S_IFMT == S_IFLNK { return nil }
            missing.append(last)
        }
    }
}

extension AnnealService {
    /// What specs and registrations may name.
    nonisolated var pathPolicy: PathPolicy { PathPolicy(folders: configuration.readablePaths) }

    /// Throws for a path that nobody may name.
    ///
    /// - Parameter pointer: where it is named.
    nonisolated func checkReadable(_ path: String, at pointer: String) throws(ServiceError) {
        guard !pathPolicy.permits(path) else { return }
        let detail = pathPolicy.refusal(of: path)
        throw ServiceError(.forbidden, "\(pointer): \(detail)", errors: [.init(pointer: pointer, detail: detail)])
    }
}
