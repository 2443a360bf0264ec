import CPosix
import Datasets
import Domain
import Glibc

/// Runs the program of a `command` step to its end.
struct StepProgram {
    /// How often a running program is looked at for a wish to stop.
    private static let pollMilliseconds: Int32 = 200
    /// The time between SIGTERM and SIGKILL for a program that is to stop.
    private static let stopPolls = 25

    let environment: [(name: String, value: String)]
    let interruption: Interruption

    /// Throws where the program cannot be started, does not end with 0, or the worker is asked to stop.
    func run(_ run: ProgramRun) throws {
        let isPiped = run.step.exchange == .stdio
        let input = open(isPiped ? run.inputPath : "/dev/null", O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileError(call: "open", path: run.inputPath, code: errno) }
        defer { close(input) }
        let output = open(run.outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw FileError(call: "open", path: run.outputPath, code: errno) }
        defer { close(output) }
        let name = run.step.arguments.first ?? ""
        let pid = try start(run, input: input, output: isPiped ? output : STDOUT_FILENO)
        let pidfd = cposix_pidfd_open(pid)
        guard pidfd >= 0 else {
            kill(-pid, SIGKILL)
            throw FileError(call: "pidfd_open", path: name, code: errno)
        }
        defer { close(pidfd) }
        let (exitCode, signal) = try wait(pid: pid, pidfd: pidfd)
        try interruption.check()
        guard signal < 0 else { throw failed(name, "was ended by signal \(signal)") }
        guard exitCode == 0 else { throw failed(name, "ended with exit code \(exitCode); its messages are in the log") }
    }

    private func failed(_ name: String, _ detail: String) -> WorkerFailure {
        WorkerFailure(exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "the step's program \(name) \(detail)")
    }

    private func wait(pid: pid_t, pidfd: Int32) throws -> (exitCode: Int32, signal: Int32) {
        var polls = 0
        while true {
            var (exitCode, signal): (Int32, Int32) = (-1, -1)
            let result = cposix_pidfd_reap(pidfd, &exitCode, &signal)
            if result == 1 { return (exitCode, signal) }
            guard result == 0 else { throw FileError(call: "waitid", path: "process \(pid)", code: errno) }
            if interruption.isRequested {
                kill(-pid, polls < Self.stopPolls ? SIGTERM : SIGKILL)
                polls += 1
            }
            var entry = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            _ = poll(&entry, 1, Self.pollMilliseconds)
        }
    }

    private func start(_ run: ProgramRun, input: Int32, output: Int32) throws -> pid_t {
        let name = run.step.arguments.first ?? ""
        guard let path = executable(name) else { throw WorkerFailure.badRequest("/steps", "there is no program '\(name)'") }
        var variables = environment.map { "\($0.name)=\($0.value)" }
        if run.step.exchange == .files { variables += ["ANNEAL_STEP_INPUT=\(run.inputPath)", "ANNEAL_STEP_OUTPUT=\(run.outputPath)"] }
        let (argv, envp) = (run.step.arguments.map { strdup($0) } + [nil], variables.map { strdup($0) } + [nil])
        defer { for text in argv + envp { free(text) } }
        var request = cposix_start_request()
        var held = cposix_held_process()
        var failure = cposix_start_failure()
        // What is handed over must lie above the standard descriptors.
        let copies = [input, output, STDERR_FILENO].map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
        defer { for descriptor in copies { close(descriptor) } }
        guard !copies.contains(-1) else { throw FileError(call: "fcntl", path: name, code: errno) }
        (request.stdin_descriptor, request.stdout_descriptor, request.stderr_descriptor) = (copies[0], copies[1], copies[2])
        request.cgroup_descriptor = -1
        request.new_session = true
        // This thread waits for the program, so it does not end before it.
        request.parent_death_signal = SIGKILL
        let started = path.withCString { path in
            argv.withUnsafeBufferPointer { argv in
                envp.withUnsafeBufferPointer { envp in
                    request.path = path
                    request.argv = argv.baseAddress
                    request.envp = envp.baseAddress
                    return cposix_start_held(&request, &held, &failure) == 0 && cposix_start_release(&held, &failure) == 0
                }
            }
        }
        guard started else {
            let reason = String(cString: strerror(failure.error_number))
            throw WorkerFailure.badRequest("/steps", "the program '\(name)' cannot be started: \(reason)")
        }
        return held.pid
    }

    /// The file of a program that is named with a path or found along PATH.
    private func executable(_ name: String) -> String? {
        if name.utf8.contains(UInt8(ascii: "/")) { return name }
        let path = environment.first { $0.name == "PATH" }?.value ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
