import CPosix
import Domain
import EventLoop
import Glibc
import Supervision

/// Slurm's programs, each as a child process within limits of time and size. Every call blocks: it belongs off the loop.
struct SlurmCommands: Sendable {
    private static let answerBytesMax = 64 << 20
    private static let complaintBytesMax = 8_192
    /// slurmctld may take long when it is busy; a submission whose answer is given up is looked for by its name.
    private static let submitPatience: Duration = .seconds(60)
    static let queryPatience: Duration = .seconds(20)

    let terms: ClusterTerms
    /// What takes the place of most of them; `nil` without slurmrestd.
    var rest: SlurmREST?

    /// Submits a script; returns Slurm's id of the job.
    func submit(_ options: [String], script: String) throws(SlurmError) -> String {
        if let rest { return try rest.submit(options, script: try Self.text(ofScript: script)) }
        let answer = try run("sbatch", ["--parsable"] + options + [script], Self.submitPatience)
        // "id" or "id;cluster".
        let id = answer.split { $0 == ";" || $0 == "\n" }.first.map(String.init) ?? ""
        guard !id.isEmpty, id.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw SlurmError(.unknown, "sbatch answered '\(answer.prefix(200))', which is no job id")
        }
        return id
    }

    /// Every job of this user that Slurm remembers, those that have ended included.
    func queue() throws(SlurmError) -> [SlurmJob] {
        if let rest { return try rest.queue() }
        let answer = try run(
            "squeue", ["--noheader", "--array", "--states=all", "--user=\(getuid())", "--format=" + SlurmJob.queueFormat],
            Self.queryPatience)
        return Self.jobs(answer)
    }

    private static func jobs(_ answer: String) -> [SlurmJob] {
        answer.utf8.split(separator: UInt8(ascii: "\n")).compactMap { SlurmJob(line: Substring($0)) }
    }

    /// What the accounts say of jobs that squeue has forgotten.
    func accounts(of ids: [String]) throws(SlurmError) -> [SlurmJob] {
        let answer = try run(
            "sacct",
            [
                "--noheader", "--parsable2", "--allocations", "--duplicates", "--format=" + SlurmJob.accountFields,
                "--jobs=" + ids.joined(separator: ","),
            ], Self.queryPatience)
        return Self.jobs(answer)
    }

    /// Takes jobs that wait out of the queue; those that run are left alone.
    func cancelPending(_ ids: [String]) throws(SlurmError) {
        if let rest { return try rest.cancelPending(ids) }
        _ = try run("scancel", ["--quiet", "--state=PENDING"] + ids, Self.queryPatience)
    }

    /// Ends jobs, whatever they are at.
    func cancel(_ ids: [String]) throws(SlurmError) {
        if let rest { return try rest.cancel(ids) }
        _ = try run("scancel", ["--quiet"] + ids, Self.queryPatience)
    }

    /// Sends SIGUSR1 to the shims of jobs that run, and to nothing else.
    func wake(_ ids: [String]) throws(SlurmError) {
        // They look for orders by themselves, only later.
        if rest != nil { return }
        _ = try run("scancel", ["--quiet", "--signal=USR1", "--batch"] + ids, Self.queryPatience)
    }

    func setNice(_ id: String, _ nice: Int) throws(SlurmError) {
        if let rest { return try rest.update(id, ["nice": .int(Int64(nice))]) }
        _ = try run("scontrol", ["update", "JobId=\(id)", "Nice=\(nice)"], Self.queryPatience)
    }

    func setHeld(_ id: String, _ isHeld: Bool) throws(SlurmError) {
        if let rest { return try rest.update(id, ["hold": .bool(isHeld)]) }
        _ = try run("scontrol", [isHeld ? "hold" : "release", id], Self.queryPatience)
    }

    private static func text(ofScript path: String) throws(SlurmError) -> String {
        guard let file = fopen(path, "re") else { throw SlurmError(.refused, "the script \(path) cannot be read") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: scriptBytesMax)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count < bytes.count else { throw SlurmError(.refused, "the script \(path) has more than \(scriptBytesMax) bytes") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Slurm's own limit (slurm.conf: max_script_size).
    private static let scriptBytesMax = 4 << 20

    func run(_ program: String, _ arguments: [String], _ patience: Duration) throws(SlurmError) -> String {
        let path = try path(of: program)
        // A file without a name takes what the program complains of, however much that is.
        guard let complaints = tmpfile() else { throw SlurmError(.unknown, "no temporary file can be made: \(errorText())") }
        defer { fclose(complaints) }
        let result: (bytes: [UInt8], ending: ProgramOutput.Ending)
        do {
            result = try ProgramOutput.run(
                [path] + arguments, environment: environment, timeout: patience, bytesMax: Self.answerBytesMax, errors: fileno(complaints))
        } catch {
            throw SlurmError(.unknown, "\(program) could not be run: \(error)")
        }
        switch result.ending {
        case .exit(0): return String(decoding: result.bytes, as: UTF8.self)
        case .exit: throw SlurmError.of(complaint: text(of: complaints))
        case .signal(let number): throw SlurmError(.unknown, "\(program) was ended by signal \(number)")
        case .timeout: throw SlurmError(.unknown, "\(program) did not answer within \(patience.components.seconds) s")
        case .tooLong: throw SlurmError(.unknown, "\(program) answered more than can be taken")
        }
    }

    private func text(of file: UnsafeMutablePointer<FILE>) -> String {
        var bytes = [UInt8](repeating: 0, count: Self.complaintBytesMax)
        let count = pread(fileno(file), &bytes, bytes.count, 0)
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    private func errorText() -> String { strerror(errno).map { String(cString: $0) } ?? "error \(errno)" }

    func path(of program: String) throws(SlurmError) -> String {
        if let folder = terms.programs { return folder + "/" + program }
        let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in search.split(separator: ":") where access("\(folder)/\(program)", X_OK) == 0 { return "\(folder)/\(program)" }
        throw SlurmError(.unknown, "\(program) is not in the daemon's PATH; name its folder as 'programs' of the cluster '\(terms.name)'")
    }

    /// What Slurm's programs get of the daemon's environment. sbatch hands it on to the job, so nothing that may be secret is in it.
    private var environment: [(name: String, value: String)] {
        var variables = Self.inherited.compactMap { name in getenv(name).map { (name: name, value: String(cString: $0)) } }
        if let path = terms.configurationPath {
            variables.removeAll { $0.name == "SLURM_CONF" }
            variables.append(("SLURM_CONF", path))
        }
        return variables + [("LC_ALL", "C"), ("SLURM_TIME_FORMAT", "%s")]
    }

    private static let inherited = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "SLURM_CONF", "LD_LIBRARY_PATH", "KRB5CCNAME",
    ]
}
