import CPosix
import Datasets
import EventLoop
import Glibc

/// A program that reads one file, writes another, and ends.
///
/// It leads a session of its own and dies with this process.
@LoopActor
enum EvaluateChild {
    /// How a program ended.
    enum Ending: Equatable {
        case exit(Int32)
        case signal(Int32)
        case timeout
    }

    /// The files that a program reads and writes.
    struct Files {
        var input: String
        var output: String
        /// Where its standard error is appended.
        var log: String
    }

    /// Runs `arguments` to their end; cancelling the task kills the program.
    ///
    /// - Parameter timeout: the time after which the program is killed with all of its group; `nil` for none.
    static func run(
        _ arguments: [String], environment: [(name: String, value: String)], files: Files, timeout: Duration?
    ) async throws -> Ending {
        let pid = try start(arguments, environment, files)
        let pidfd = cposix_pidfd_open(pid)
        guard pidfd >= 0 else {
            kill(-pid, SIGKILL)
            throw FileError(call: "pidfd_open", path: arguments[0], code: errno)
        }
        defer { close(pidfd) }
        var isLate = false
        let timer = timeout.map {
            LoopTimer(after: $0) {
                isLate = true
                kill(-pid, SIGKILL)
            }
        }
        defer { timer?.cancel() }
        do {
            try await withTaskCancellationHandler {
                try await end(of: pidfd)
            } onCancel: {
                kill(-pid, SIGKILL)
            }
        } catch {
            // A program that cannot be watched must not go on unseen.
            kill(-pid, SIGKILL)
            throw error
        }
        // The zombie still holds its number, so what is left of its group can be ended.
        kill(-pid, SIGKILL)
        var exitCode: Int32 = -1
        var signal: Int32 = -1
        guard cposix_pidfd_reap(pidfd, &exitCode, &signal) > 0 else { throw FileError(call: "waitid", path: arguments[0], code: errno) }
        try Task.checkCancellation()
        if isLate { return .timeout }
        return signal >= 0 ? .signal(signal) : .exit(exitCode)
    }

    /// Runs `arguments` in a folder as a part of this process: in its group, with its output, and ended with it; cancelling the task asks
    /// the program to end, and its end is waited for.
    static func follow(_ arguments: [String], environment: [(name: String, value: String)], in folder: String) async throws -> Ending {
        let input = try descriptor("/dev/null", O_RDONLY)
        defer { close(input) }
        // What is handed over must lie above the standard descriptors.
        let outputs = [STDOUT_FILENO, STDERR_FILENO].map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
        defer { for descriptor in outputs { close(descriptor) } }
        guard !outputs.contains(-1) else { throw FileError(call: "fcntl", path: arguments[0], code: errno) }
        let pid = try start(arguments, environment, [input] + outputs, leadsSession: false, in: folder)
        let pidfd = cposix_pidfd_open(pid)
        guard pidfd >= 0 else {
            kill(pid, SIGKILL)
            throw FileError(call: "pidfd_open", path: arguments[0], code: errno)
        }
        defer { close(pidfd) }
        try await withTaskCancellationHandler {
            try await end(of: pidfd)
        } onCancel: {
            kill(pid, SIGTERM)
        }
        var exitCode: Int32 = -1
        var signal: Int32 = -1
        guard cposix_pidfd_reap(pidfd, &exitCode, &signal) > 0 else { throw FileError(call: "waitid", path: arguments[0], code: errno) }
        return signal >= 0 ? .signal(signal) : .exit(exitCode)
    }

    /// The program's file: as it is where it has a slash, else looked for in `PATH`.
    nonisolated static func path(of program: String, environment: [(name: String, value: String)]) -> String? {
        if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
        let search = environment.first { $0.name == "PATH" }?.value ?? "/usr/local/bin:/usr/bin:/bin"
        return search.split(separator: ":").lazy.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    private static func end(of pidfd: Int32) async throws {
        let (ends, ended) = AsyncStream.makeStream(of: Void.self)
        let watcher = try DescriptorWatcher(descriptor: pidfd, events: .readable) { _ in ended.finish() }
        // A cancelled task leaves the stream at once; the kill that comes with it is waited for without.
        await Task { for await _ in ends {} }.value
        watcher.cancel()
    }

    private static func start(_ arguments: [String], _ environment: [(name: String, value: String)], _ files: Files) throws -> Int32 {
        let input = try descriptor(files.input, O_RDONLY)
        defer { close(input) }
        let output = try descriptor(files.output, O_WRONLY | O_CREAT | O_TRUNC)
        defer { close(output) }
        let log = try descriptor(files.log, O_WRONLY | O_CREAT | O_APPEND)
        defer { close(log) }
        return try start(arguments, environment, [input, output, log], leadsSession: true)
    }

    /// - Parameter descriptors: standard input, output and error.
    private static func start(
        _ arguments: [String], _ environment: [(name: String, value: String)], _ descriptors: [Int32], leadsSession: Bool,
        in folder: String? = nil
    ) throws -> Int32 {
        guard let path = path(of: arguments[0], environment: environment) else {
            throw FileError(call: "exec", path: arguments[0], code: ENOENT)
        }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.name)=\($0.value)") } + [nil]
        let directory = folder.flatMap { strdup($0) }
        defer { for text in argv + envp + [directory] { free(text) } }
        var request = cposix_start_request()
        var held = cposix_held_process()
        var failure = cposix_start_failure()
        (request.stdin_descriptor, request.stdout_descriptor, request.stderr_descriptor) = (descriptors[0], descriptors[1], descriptors[2])
        request.working_directory = UnsafePointer(directory)
        request.cgroup_descriptor = -1
        request.new_session = leadsSession
        request.parent_death_signal = SIGKILL
        let isStarted = path.withCString { path in
            argv.withUnsafeMutableBufferPointer { argv in
                envp.withUnsafeMutableBufferPointer { envp in
                    request.path = path
                    request.argv = UnsafePointer(argv.baseAddress)
                    request.envp = UnsafePointer(envp.baseAddress)
                    return cposix_start_held(&request, &held, &failure) == 0 && cposix_start_release(&held, &failure) == 0
                }
            }
        }
        guard isStarted else { throw FileError(call: "exec", path: path, code: failure.error_number) }
        return held.pid
    }

    private static func descriptor(_ path: String, _ flags: Int32) throws -> Int32 {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        return descriptor
    }
}

extension EvaluateChild {
    /// The last lines of a log, for messages.
    nonisolated static func tail(of path: String) -> String {
        var lines: [String] = []
        // A log that cannot be read adds nothing to the message.
        try? JSONLineReader(path: path).read { line in
            lines.append(String(decoding: line.bytes, as: UTF8.self))
            if lines.count > tailLines { lines.removeFirst() }
        }
        return lines.joined(separator: "\n")
    }

    private nonisolated static let tailLines = 20
}

extension WorkerContext {
    /// The worker's environment for programs that are none of Anneal's own: without the keys to its services.
    var environmentWithoutCredentials: [(name: String, value: String)] {
        let credentials: Set<String> = ["ANNEAL_TOKEN", "MLFLOW_TRACKING_TOKEN"]
        return environment.filter { !credentials.contains($0.name) }
    }

    /// The same for the trainer's Python; where its package is not installed, the daemon says where its source is.
    var trainerEnvironment: [(name: String, value: String)] {
        guard let trainer = variable("ANNEAL_TRAINER") else { return environmentWithoutCredentials }
        return environmentWithoutCredentials.filter { $0.name != "PYTHONPATH" } + [(name: "PYTHONPATH", value: trainer)]
    }
}
