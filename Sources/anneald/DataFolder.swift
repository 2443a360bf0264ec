import Glibc
import Service

/// The data folder: made on first use, held by one daemon at a time.
enum DataFolder {
    struct Lock: Sendable {
        fileprivate let descriptor: Int32

        func release() { close(descriptor) }
    }

    static func prepare(_ path: String) throws(SettingsError) {
        guard access(path + "/" + Restoration.marker, F_OK) != 0 else {
            throw SettingsError(message: "a restore into \(path) was not finished; run 'anneal restore' again, or remove the folder")
        }
        for folder in ["", "/attempts", "/jobs", "/datasets", "/uploads", "/backups"] { try create(path + folder) }
    }

    static func create(_ path: String) throws(SettingsError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw SettingsError(message: "the data folder \(path) cannot be created: \(String(cString: strerror(errno)))")
        }
        try create(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw SettingsError(message: "the data folder \(path) cannot be created: \(String(cString: strerror(errno)))")
        }
    }

    /// How often, and how far apart, the lock is tried. A process that a killed daemon was just starting has the lock until its program
    /// runs, for milliseconds on an idle machine.
    private static let lockTries = 20
    private static let lockPauseMilliseconds: Int32 = 50

    /// Takes the lock that the kernel releases with the process, however it ends.
    static func lock(_ path: String) throws(SettingsError) -> Lock {
        let file = path + "/anneald.lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SettingsError(message: "\(file): \(String(cString: strerror(errno)))") }
        for _ in 0..<lockTries {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return Lock(descriptor: descriptor) }
            // There is no loop yet, and the kernel tells nobody when a lock is given back.
            poll(nil, 0, lockPauseMilliseconds)
        }
        close(descriptor)
        throw SettingsError(message: "another anneald works on \(path); stop it first, or choose another --data")
    }
}
