import CPosix
import Glibc

/// The worker's first process, made but held before it becomes the program.
struct HeldWorker {
    private var held: cposix_held_process
    private let spec: Spec
    private let program: String

    var pid: pid_t { held.pid }
    var isInControlGroup: Bool { held.in_cgroup }

    /// Makes the process, in its own session and group, with copies of these descriptors.
    init(
        _ spec: Spec, input: Int32, output: Int32, errors: Int32, controlGroup: ControlGroup?, parentDeathSignal: Int32 = 0
    ) throws(StartError) {
        let program = try ProgramSearch(spec).path()

        var held = cposix_held_process()
        var failure = cposix_start_failure()
        let arguments = CStringArray(spec.argv)
        let environment = CStringArray(spec.environment.map { "\($0.key)=\($0.value)" })
        let result = program.withCString { path in
            withOptionalCString(spec.workingDirectory) { workingDirectory in
                var request = cposix_start_request(
                    path: path, argv: arguments.pointers, envp: environment.pointers, working_directory: workingDirectory,
                    stdin_descriptor: input, stdout_descriptor: output, stderr_descriptor: errors,
                    cgroup_descriptor: controlGroup?.descriptor ?? -1, new_session: true, parent_death_signal: parentDeathSignal)
                return cposix_start_held(&request, &held, &failure)
            }
        }
        self.spec = spec
        self.program = program
        self.held = held
        guard result == 0 else { throw explain(failure) }
    }

    /// Lets the process become the program and returns when it has.
    mutating func release() throws(StartError) {
        var failure = cposix_start_failure()
        guard cposix_start_release(&held, &failure) == 0 else { throw explain(failure) }
    }

    /// Makes the process end without having run anything.
    mutating func abandon() {
        close(held.gate_descriptor)
        close(held.report_descriptor)
    }

    private func explain(_ failure: cposix_start_failure) -> StartError {
        let reason = describe(failure.error_number)
        switch failure.step {
        case CPOSIX_STEP_WORKING_DIRECTORY:
            let message = "cannot enter the working directory '\(spec.workingDirectory ?? ".")': \(reason)"
            return StartError(step: "working_directory", errorNumber: failure.error_number, message: message)
        case CPOSIX_STEP_EXEC:
            return StartError(step: "exec", errorNumber: failure.error_number, message: explainExec(failure.error_number, reason))
        case CPOSIX_STEP_PIPE, CPOSIX_STEP_FORK:
            return StartError(step: "fork", doing: "make a process", errorNumber: failure.error_number)
        case CPOSIX_STEP_SESSION:
            return StartError(step: "session", doing: "make a session", errorNumber: failure.error_number)
        default:
            return StartError(step: "stdio", doing: "set up the worker's descriptors", errorNumber: failure.error_number)
        }
    }

    private func explainExec(_ errorNumber: Int32, _ reason: String) -> String {
        let path = program.hasPrefix("/") ? program : (spec.workingDirectory ?? ".") + "/" + program
        switch errorNumber {
        case ENOENT where access(path, F_OK) == 0:
            return "cannot run '\(program)': the interpreter that it names does not exist"
        case ENOENT: return "the program '\(program)' does not exist"
        case EACCES: return "the program '\(program)' is not executable"
        case ENOEXEC: return "cannot run '\(program)': it is neither a program of this machine nor a script that starts with '#!'"
        case E2BIG: return "cannot run '\(program)': its arguments and environment are too long"
        default: return "cannot run '\(program)': \(reason)"
        }
    }
}

/// Finds the program as a shell would: a name without a slash is looked up in the PATH that the worker will have.
struct ProgramSearch {
    let name: String
    let environment: [(key: String, value: String)]
    /// `nil` for that of this process.
    let workingDirectory: String?

    init(_ spec: Spec) {
        self.init(name: spec.argv[0], environment: spec.environment, workingDirectory: spec.workingDirectory)
    }

    init(name: String, environment: [(key: String, value: String)], workingDirectory: String? = nil) {
        (self.name, self.environment, self.workingDirectory) = (name, environment, workingDirectory)
    }

    func path() throws(StartError) -> String {
        guard !name.utf8.contains(UInt8(ascii: "/")) else { return name }
        // What glibc's execvp searches where there is no PATH.
        let search = environment.last { $0.key == "PATH" }?.value ?? "/bin:/usr/bin"
        var unusable: String?
        for folder in search.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = absolute(String(folder)) + "/" + name
            var information = stat()
            guard stat(candidate, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { continue }
            if access(candidate, X_OK) == 0 { return candidate }
            unusable = unusable ?? candidate
        }
        if let unusable { throw StartError(step: "exec", errorNumber: EACCES, message: "the program '\(unusable)' is not executable") }
        throw StartError(step: "exec", errorNumber: ENOENT, message: "the program '\(name)' was not found in PATH (\(search))")
    }

    /// An entry of PATH may be relative, or empty for the working directory; both count from the worker's.
    private func absolute(_ folder: String) -> String {
        if folder.hasPrefix("/") { return folder }
        return (workingDirectory ?? ".") + "/" + folder
    }
}
