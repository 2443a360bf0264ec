import CPosix
import Glibc
import JSON

/// The files of the attempt. The shim's working directory is the attempt's folder, so every name is short whatever its path.
struct AttemptFolder {
    static let specBytesMax = 16 << 20

    /// Held for the shim's life; the kernel gives it back at its death. Daemons tell a live shim by it.
    private let lock: Int32

    /// Takes the lock: through the descriptor that the maker opened, locked and passed on, else by opening `lock`.
    ///
    /// A passed descriptor shares the maker's lock, so from before the shim's birth until its death there is no moment without it.
    init?(inheritedLock: Int32?) {
        let descriptor = inheritedLock ?? cposix_open(AT_FDCWD, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, cposix_set_close_on_exec(descriptor, true) == 0, Self.isLockFile(descriptor),
            cposix_try_lock(descriptor) == 1
        else { return nil }
        lock = descriptor
    }

    private static func isLockFile(_ descriptor: Int32) -> Bool {
        var opened = stat()
        var named = stat()
        return fstat(descriptor, &opened) == 0 && stat("lock", &named) == 0
            && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
    }

    func exists(_ name: String) -> Bool { access(name, F_OK) == 0 }

    /// Opens a log for the worker to append to.
    func openLog(_ name: String) throws(StartError) -> Int32 {
        let descriptor = cposix_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StartError(step: "log", doing: "open \(name)", errorNumber: errno) }
        return descriptor
    }

    /// Replaces `name` as a whole. It need not survive a power failure: the worker does not survive one either.
    static func replace(_ name: String, with document: JSONValue) throws(StartError) {
        let temporary = name + ".tmp"
        let file = cposix_open(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StartError(step: "record", doing: "create \(name)", errorNumber: errno) }
        defer { close(file) }
        guard writeAll(JSONWriter().bytes(of: document), to: file), rename(temporary, name) == 0 else {
            let errorNumber = errno
            unlink(temporary)
            throw StartError(step: "record", doing: "write \(name)", errorNumber: errorNumber)
        }
    }
}

/// The room for exit.json, set aside on disk at the start, so that a disk that fills up later cannot swallow the exit code.
struct ExitReserve {
    private static let name = "exit.reserve"
    /// More than any exit record takes: its message and its list of survivors are bounded.
    private static let byteCount = 8_192

    private let file: Int32

    init() throws(StartError) { file = try Self.setAside(Self.byteCount, as: Self.name) }

    /// Makes a file that has so much room on disk; none is left where there is not so much.
    static func setAside(_ byteCount: Int, as name: String) throws(StartError) -> Int32 {
        let file = cposix_open(AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StartError(step: "reserve", doing: "create \(name)", errorNumber: errno) }
        let errorNumber = posix_fallocate(file, 0, off_t(byteCount))
        guard errorNumber == 0 else {
            close(file)
            unlink(name)
            throw StartError(step: "reserve", doing: "set aside room for the attempt's records", errorNumber: errorNumber)
        }
        return file
    }

    /// Writes the record into the reserved blocks, or where nothing could be reserved into what room there is, and gives the file its
    /// name: data, then name, then folder reach the disk in this order. False with errno where that fails.
    static func publish(_ record: JSONValue, in reserve: ExitReserve?) -> Bool {
        let file = reserve?.file ?? cposix_open(AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        let bytes = JSONWriter().bytes(of: record)
        guard file >= 0, lseek(file, 0, SEEK_SET) == 0, writeAll(bytes, to: file), ftruncate(file, off_t(bytes.count)) == 0,
            fsync(file) == 0, rename(name, "exit.json") == 0
        else { return false }
        let folder = cposix_open(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard folder >= 0 else { return false }
        defer { close(folder) }
        return fsync(folder) == 0
    }
}
