import CPosix
import Glibc

/// A program that cleans up behind the worker, such as one that removes the container that the worker was.
///
/// It runs when nothing of the worker is left and before exit.json is written, so that whoever reads that record finds nothing left.
struct CleanUp {
    static let triesMax = 10
    /// How long one try may take.
    private static let patience: Int64 = 30_000
    /// Between two tries, and between two looks at a running one.
    private static let pause: Int32 = 100

    let argv: [String]
    /// The file that takes the output; `nil` for the shim's log.
    let output: String?
    let tries: Int

    /// Runs it until it succeeds or the tries are used up. What goes wrong is in the shim's log: the worker's end counts all the same.
    func run(environment: [(key: String, value: String)]) {
        for attempt in 1...tries {
            let status = runOnce(environment)
            if status == 0 { return }
            complain("'\(argv.joined(separator: " "))' ended with \(status) in try \(attempt) of \(tries)")
            if attempt < tries { poll(nil, 0, Self.pause) }
        }
    }

    /// The exit code; 128 and more for a signal, -1 where it could not be run.
    private func runOnce(_ environment: [(key: String, value: String)]) -> Int32 {
        let null = cposix_open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0)
        let log = cposix_open(AT_FDCWD, "shim.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        let file = output.map { cposix_open(AT_FDCWD, $0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) } ?? log
        defer { for descriptor in Set([null, log, file]) where descriptor >= 0 { close(descriptor) } }
        guard null >= 0, log >= 0, file >= 0 else { return -1 }
        var pid: pid_t = 0
        let arguments = CStringArray(argv)
        let variables = CStringArray(environment.map { "\($0.key)=\($0.value)" })
        let result = cposix_spawn_session(argv[0], arguments.pointers, variables.pointers, [null, file, log], 3, &pid)
        guard result == 0 else {
            complain("cannot run '\(argv[0])': \(describe(result))")
            return -1
        }
        return wait(for: pid)
    }

    /// Waits for the program, and kills it when it takes too long. Its own children become the shim's, and are reaped here.
    private func wait(for pid: pid_t) -> Int32 {
        let deadline = Clock.monotonic() + Self.patience
        let descriptor = cposix_pidfd_open(pid)
        defer { if descriptor >= 0 { close(descriptor) } }
        while true {
            var status: Int32 = 0
            // Any child: helpers of the program that outlive it are the shim's to reap.
            let reaped = waitpid(-1, &status, WNOHANG)
            if reaped == pid {
                return cposix_wait_signaled(status) ? 128 + cposix_wait_signal(status) : cposix_wait_exit_code(status)
            }
            if reaped < 0, errno != EINTR { return -1 }
            if reaped > 0 { continue }
            if Clock.monotonic() >= deadline {
                ProcessTree.killAll()
                kill(pid, SIGKILL)
            }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, descriptor >= 0 ? 1 : 0, Self.pause)
        }
    }
}
