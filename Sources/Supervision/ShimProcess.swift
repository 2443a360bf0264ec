import CPosix
import Glibc

/// A shim that was just started, with the descriptors through which it is watched.
struct ShimProcess: Sendable {
    var pid: Int32
    /// `nil` where the process has no descriptor left to give; it is watched through its lock then.
    var pidfd: Int32?
    /// Readable when the worker runs, at its end when it never will.
    var readiness: Int32

    /// Starts the shim of an attempt whose folder is complete. Blocks until the program has been executed.
    ///
    /// The shim inherits the lock that is already held, so that from now on the attempt is never without it, whenever this process dies.
    static func spawn(shimPath: String, folder: AttemptFolder, lock: Int32, secrets: Int32?) throws -> ShimProcess {
        let null = try open("/dev/null", O_RDWR)
        defer { close(null) }
        let log = try openLog(folder)
        defer { close(log) }
        var ends: [Int32] = [-1, -1]
        guard cposix_pipe(&ends) == 0 else { throw SupervisionError.system(.spawn, "make a pipe") }
        defer { close(ends[1]) }

        let pid: pid_t
        do {
            var argv = [shimPath, folder.path, "--lock-fd", "3", "--ready-fd", "4"]
            if secrets != nil { argv += ["--secrets-fd", "5"] }
            pid = try spawnProgram(argv, descriptors: [null, null, log, lock, ends[1]] + [secrets].compactMap(\.self))
        } catch {
            close(ends[0])
            throw error
        }
        let pidfd = cposix_pidfd_open(pid)
        return ShimProcess(pid: pid, pidfd: pidfd >= 0 ? pidfd : nil, readiness: ends[0])
    }

    /// The log of the shim itself, which is not the worker's.
    static func openLog(_ folder: AttemptFolder) throws -> Int32 { try open(folder.path(of: "shim.log"), O_WRONLY | O_CREAT | O_APPEND) }

    /// Starts a program, whose path is the first of `argv`, in a session of its own, with this environment alone, and with these
    /// descriptors from 0 on. `role` is what it is called where it cannot be started.
    static func spawnProgram(
        _ argv: [String], environment: [(name: String, value: String)] = [], descriptors: [Int32], role: String = "supervisor"
    ) throws -> pid_t {
        var pid: pid_t = 0
        let result = withCStrings(argv) { arguments in
            withCStrings(environment.map { "\($0.name)=\($0.value)" }) { environment in
                cposix_spawn_session(argv[0], arguments, environment, descriptors, Int32(descriptors.count), &pid)
            }
        }
        guard result == 0 else { throw SupervisionError.system(.spawn, "start the \(role) '\(argv[0])'", errorNumber: result) }
        return pid
    }

    private static func open(_ path: String, _ flags: Int32) throws -> Int32 {
        let descriptor = cposix_open(AT_FDCWD, path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SupervisionError.system(.folder, "open '\(path)'") }
        return descriptor
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            // The list holds at least its final nil, so it has an address.
            guard let base = buffer.baseAddress else { preconditionFailure("a list of strings is never empty") }
            return body(base)
        }
    }
}
