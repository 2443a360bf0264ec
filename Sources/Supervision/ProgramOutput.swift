import CPosix
import EventLoop
import Glibc

/// Runs a short program and takes what it prints, within limits of time and size.
public enum ProgramOutput {
    /// How a run ended.
    public enum Ending: Sendable, Equatable {
        /// It ended by itself.
        case exit(Int32)
        case signal(Int32)
        /// It took too long, or printed too much, and was killed with all of its group.
        case timeout, tooLong
    }

    private static let pieceBytes = 1 << 16

    /// Runs `argv`, which begins with the path of the program, to its end. Blocks: call it off the loop.
    ///
    /// It leads a session of its own; its standard input is `/dev/null`, and so is its standard error where `errors` is no descriptor for it.
    /// Throws a `SupervisionError` where it cannot be started.
    public static func run(
        _ argv: [String], environment: [(name: String, value: String)], timeout: Duration, bytesMax: Int, errors: Int32? = nil
    ) throws -> (bytes: [UInt8], ending: Ending) {
        let null = cposix_open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0)
        guard null >= 0 else { throw SupervisionError.system(.spawn, "open /dev/null") }
        defer { close(null) }
        var ends: [Int32] = [-1, -1]
        guard cposix_pipe(&ends) == 0 else { throw SupervisionError.system(.spawn, "make a pipe") }
        defer { close(ends[0]) }
        let started = Result {
            try ShimProcess.spawnProgram(argv, environment: environment, descriptors: [null, ends[1], errors ?? null], role: "program")
        }
        close(ends[1])
        let pid = try started.get()
        let pidfd = cposix_pidfd_open(pid)
        let refusal = errno
        var bytes: [UInt8] = []
        let limit = pidfd >= 0 ? follow(ends[0], pidfd, into: &bytes, timeout: timeout, bytesMax: bytesMax) : nil
        if pidfd >= 0 { close(pidfd) }
        // Until it is reaped its number, and with it that of its group, is nobody else's.
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard pidfd >= 0 else { throw SupervisionError.system(.spawn, "watch '\(argv[0])'", errorNumber: refusal) }
        if let limit { return (bytes, limit) }
        return (bytes, cposix_wait_exited(status) ? .exit(cposix_wait_exit_code(status)) : .signal(cposix_wait_signal(status)))
    }

    /// Reads until the program behind `pidfd` has ended, whoever still holds the other end; returns the limit that it went beyond.
    private static func follow(
        _ output: Int32, _ pidfd: Int32, into bytes: inout [UInt8], timeout: Duration, bytesMax: Int
    ) -> Ending? {
        let (seconds, attoseconds) = timeout.components
        let end = SystemTime.monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        var piece = [UInt8](repeating: 0, count: pieceBytes)
        var watched = [output, pidfd].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            let now = SystemTime.monotonicNanoseconds()
            guard now < end else { return .timeout }
            // Rounded up, so that the last wait is not one of zero milliseconds that is repeated.
            let ready = poll(&watched, 2, Int32(min((end - now) / 1_000_000 + 1, UInt64(Int32.max))))
            guard ready > 0 else { continue }
            if watched[0].revents != 0 {
                let count = read(output, &piece, piece.count)
                if count > 0 { bytes += piece[..<count] }
                if bytes.count > bytesMax { return .tooLong }
                // A negative descriptor is passed over by poll(2).
                if count == 0 { watched[0].fd = -1 }
            } else if watched[1].revents != 0 {
                return nil
            }
        }
    }
}
