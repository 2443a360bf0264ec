import CPosix
import Glibc
import JSON

/// `anneal-shim --factory N`: makes shims by copying itself, for a daemon at the other end of socket N.
///
/// A copy costs a fraction of what it takes to load and link a program. Each shim is a process of its own all the same, in a session of
/// its own, and stays when the factory ends, which it does as soon as the daemon has gone.
///
/// A request is a message with the attempt's folder as its text and descriptors: the shim's log, the lock, the pipe that tells of the
/// worker's start, and where there are secrets the file that holds them. The answer is the shim's process number with a process
/// descriptor, or a negative error number.
struct Factory {
    private static let folderBytesMax = 4096

    private let socket: Int32
    private let childSignals: Int32

    init?(socket: Int32) {
        guard cposix_set_close_on_exec(socket, true) == 0 else { return nil }
        self.socket = socket
        childSignals = cposix_signal_descriptor(SIGCHLD)
        guard childSignals >= 0 else { return nil }
    }

    /// Does once what every shim will do, so that the runtime's tables are filled before they are copied.
    private static func warmUp() {
        let text = #"{"version": 1, "argv": ["true"], "environment": {"A": "b"}, "ladder": {"terminate_grace_ms": 1}}"#
        // Nothing of it is used, so it does not matter how it ends.
        _ = try? Spec(parsing: Array(text.utf8))
        _ = ExitRecord(startedAt: 0, endedAt: 1, wallTime: 1, startError: StartError(step: "none", message: "")).document()
        _ = JSONWriter().bytes(of: ["child_pid": 1, "started_at_ms": 2, "name": "x", "list": [true, nil]])
    }

    /// Serves until the daemon has gone. Returns the job of a shim in each copy, and `nil` in the factory itself at its end.
    func serve() -> ShimOrder? {
        Self.warmUp()
        while true {
            var entries = [
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0), pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, -1) > 0 else { continue }
            if entries[1].revents != 0 { reap() }
            guard entries[0].revents != 0 else { continue }
            var text = [UInt8](repeating: 0, count: Self.folderBytesMax)
            var descriptors: [Int32] = [-1, -1, -1, -1]
            let length = cposix_receive_message(socket, &text, text.count, &descriptors, 4)
            guard length > 0 else { return nil }
            let order = ShimOrder(
                folder: String(decoding: text[..<length], as: UTF8.self), log: descriptors[0], lock: descriptors[1],
                readiness: descriptors[2], secrets: descriptors[3])
            if make(order) { return order }
        }
    }

    /// Copies this process. Returns true in the copy.
    private func make(_ order: ShimOrder) -> Bool {
        let pid = cposix_fork()
        if pid == 0 {
            close(socket)
            close(childSignals)
            return true
        }
        for descriptor in [order.log, order.lock, order.readiness, order.secrets] where descriptor >= 0 { close(descriptor) }
        // It is reaped only after this, so that its number can mean no other process yet.
        var answer = pid > 0 ? pid : -errno
        var process = pid > 0 ? cposix_pidfd_open(pid) : -1
        _ = cposix_send_message(socket, &answer, MemoryLayout<pid_t>.size, &process, process >= 0 ? 1 : 0)
        if process >= 0 { close(process) }
        return false
    }

    private func reap() {
        cposix_drain_signal_descriptor(childSignals)
        var status: Int32 = 0
        // Any child: the factory makes nothing but shims, and asks nothing of their ends.
        while waitpid(-1, &status, WNOHANG) > 0 {}
    }
}

/// What a copy of the factory is to supervise.
struct ShimOrder {
    let folder: String
    let log: Int32
    let lock: Int32
    let readiness: Int32
    let secrets: Int32
}
