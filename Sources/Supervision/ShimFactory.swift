import CPosix
import EventLoop
import Glibc

/// A process that makes shims by copying itself, which is several times cheaper than starting the program anew for each attempt.
///
/// It is only ever a short cut: where it cannot be had or has died, shims are started directly, and it is tried again a few times. It
/// holds nothing that an attempt needs, and ends with the daemon. It belongs to one thread, that on which attempts are started.
///
/// `@unchecked Sendable`: after its birth it is used on that one thread alone.
final class ShimFactory: @unchecked Sendable {
    /// What came of an order.
    enum Made {
        case shim(ShimProcess)
        /// No shim was made; it must be started directly.
        case unavailable
        /// The factory died over it. Whether there is a shim, only the attempt's lock can tell.
        case uncertain
    }

    /// After so many failures in a row it is given up.
    private static let failuresMax = 3

    private let shimPath: String
    private var socket: Int32 = -1
    private var process: Int32 = -1
    private var failures = 0

    init(shimPath: String) { self.shimPath = shimPath }

    deinit { closeSocket() }

    /// Makes a shim for the attempt whose lock is held through `lock`. Blocks shortly.
    func make(folder: AttemptFolder, lock: Int32, secrets: Int32?) throws -> Made {
        guard failures < Self.failuresMax, socket >= 0 || start() else { return .unavailable }
        let log = try ShimProcess.openLog(folder)
        defer { close(log) }
        var ends: [Int32] = [-1, -1]
        guard cposix_pipe(&ends) == 0 else { throw SupervisionError.system(.spawn, "make a pipe") }
        defer { close(ends[1]) }
        let path = Array(folder.path.utf8)
        let descriptors = [log, lock, ends[1]] + [secrets].compactMap(\.self)
        guard cposix_send_message(socket, path, path.count, descriptors, Int32(descriptors.count)) == 0 else {
            close(ends[0])
            fail()
            return .unavailable
        }
        var pid: pid_t = 0
        var descriptor: Int32 = -1
        guard cposix_receive_message(socket, &pid, MemoryLayout<pid_t>.size, &descriptor, 1) == MemoryLayout<pid_t>.size else {
            close(ends[0])
            fail()
            return .uncertain
        }
        guard pid > 0 else {
            close(ends[0])
            failures += 1
            return .unavailable
        }
        failures = 0
        return .shim(ShimProcess(pid: pid, pidfd: descriptor >= 0 ? descriptor : nil, readiness: ends[0]))
    }

    private func start() -> Bool {
        var ends: [Int32] = [-1, -1]
        let null = cposix_open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0)
        guard null >= 0, cposix_message_pair(&ends) == 0 else {
            if null >= 0 { close(null) }
            failures += 1
            return false
        }
        defer {
            close(null)
            close(ends[1])
        }
        do {
            let pid = try ShimProcess.spawnProgram([shimPath, "--factory", "3"], descriptors: [null, null, null, ends[1]])
            process = cposix_pidfd_open(pid)
            socket = ends[0]
            return true
        } catch {
            // Starting the shim directly meets the same fault, and tells of it.
            close(ends[0])
            failures += 1
            return false
        }
    }

    private func fail() {
        failures += 1
        closeSocket()
    }

    private func closeSocket() {
        if socket >= 0 { close(socket) }
        socket = -1
        // It ends because of the closed socket, a moment after this.
        if process >= 0 { Task { @LoopActor [process] in ChildReaper.reap(whenEnded: process) } }
        process = -1
    }
}
