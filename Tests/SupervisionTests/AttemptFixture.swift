import CPosix
import EventLoop
import Glibc
import JSON
import Supervision
import Testing

/// A folder for attempts and a supervisor for them; what a test leaves running is killed, and the folder removed, at its end.
struct AttemptFixture: Sendable {
    let root: String
    let supervisor: Supervisor
    /// For what blocks: FIFOs and shell commands must not hold up Swift's few threads.
    let blocking = BlockingThread(name: "test")

    /// The program beside the test bundle, where the build puts both.
    static let shimPath: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/anneal-shim"
    }()

    static let environment = [("PATH", String(cString: getenv("PATH")))]

    static func with(_ body: (AttemptFixture) async throws -> Void) async throws {
        var template = Array("/tmp/anneal-supervision-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let fixture = AttemptFixture(root: root, supervisor: Supervisor(shimPath: shimPath, attemptsDirectory: root))
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(fixture)) } catch { outcome = .failure(error) }
        await fixture.cleanUp()
        try outcome.get()
    }

    /// Kills by the records in the folder: nothing of another test can be hit.
    private func cleanUp() async {
        for listing in (try? await supervisor.scan()) ?? [] where listing.hasLiveShim {  // an unreadable folder holds nothing to kill
            guard let identity = try? record("shim.json", of: listing.directory), let pid = identity["shim_pid"]?.int,  // not started yet
                let child = identity["child_pid"]?.int
            else { continue }
            kill(Int32(pid), SIGKILL)
            kill(-Int32(child), SIGKILL)
        }
        _ = try? await shell("rm -rf '\(root)'")  // a folder that stays behind in /tmp harms no test
    }

    /// The folder of an attempt. As in the daemon no two attempts have the same name, even in different roots: control groups go by it.
    func directory(_ name: String) -> String { root + "/" + (root.split(separator: "-").last ?? "") + "-" + name }

    func launch(
        _ name: String, _ argv: [String], environment: [(String, String)] = Self.environment, workingDirectory: String = "/tmp",
        timeLimit: Duration? = nil, ladder: StopLadder = StopLadder(terminateGrace: .milliseconds(100)),
        stragglerGrace: Duration = .milliseconds(50), logBytesMax: Int64? = nil, controlGroup: ControlGroupPlacement = .belowOwn
    ) -> AttemptLaunch {
        AttemptLaunch(
            directory: directory(name), argv: argv, environment: environment, workingDirectory: workingDirectory, timeLimit: timeLimit,
            ladder: ladder, stragglerGrace: stragglerGrace, logBytesMax: logBytesMax, controlGroup: controlGroup,
            jobDocument: ["version": 1, "name": .string(name)])
    }

    /// Starts an attempt; its events wait in the probe.
    func start(_ launch: AttemptLaunch) async throws -> (handle: AttemptHandle, events: EventProbe) {
        let probe = EventProbe()
        let handle = try await supervisor.start(launch) { probe.append($0) }
        return (handle, probe)
    }

    /// Runs an attempt to its end.
    func run(_ launch: AttemptLaunch) async throws -> ExitRecord {
        try await start(launch).events.ended()
    }

    /// Runs a script of /bin/sh to its end.
    func run(script: String, name: String = "attempt") async throws -> ExitRecord {
        try await run(launch(name, ["/bin/sh", "-c", script]))
    }

    func contents(_ name: String, of attempt: String) throws -> [UInt8] { try Self.read(attempt + "/" + name) }

    func record(_ name: String, of attempt: String) throws -> JSONValue { try JSONParser.parse(contents(name, of: attempt)) }

    static func read(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"), "cannot open \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes.append(contentsOf: chunk[..<count]) }
        return bytes
    }

    func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"), "cannot write \(path)")
        defer { fclose(file) }
        try #require(fputs(text, file) >= 0)
    }

    /// Makes a folder with this spec.json, for a shim that is run by hand.
    func makeFolder(_ name: String, spec: JSONValue) throws -> String {
        let directory = directory(name)
        try #require(mkdir(directory, 0o700) == 0)
        try write(spec.text(), to: directory + "/spec.json")
        return directory
    }

    /// Runs a shim by hand to its end and returns its exit code and what it complained of.
    func runShim(_ arguments: String) async throws -> (code: Int32?, complaint: String) {
        let lines = try await shell("'\(Self.shimPath)' \(arguments) 2>&1; echo $?").split(separator: "\n")
        return (lines.last.flatMap { Int32($0) }, lines.dropLast().joined(separator: "\n"))
    }

    /// Writes a script. A shell does it: a descriptor of this process could be copied by a fork in another test, and the kernel runs no
    /// file that is open for writing.
    func writeScript(_ line: String, mode: String) async throws -> String {
        let path = directory("script")
        try await shell("echo '\(line)' > '\(path)' && chmod \(mode) '\(path)'")
        return path
    }

    // MARK: Waiting for what a worker does

    /// Makes a FIFO: a worker that writes a line into it says that it has come so far.
    func makeFIFO(_ name: String) throws -> String {
        let path = root + "/" + name
        try #require(mkfifo(path, 0o600) == 0)
        return path
    }

    /// The next line that somebody writes into the FIFO. A worker that died before it wrote makes an error, not a test that hangs.
    func line(from fifo: String) async throws -> String {
        try await blocking.run {
            let descriptor = cposix_open(AT_FDCWD, fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
            defer { close(descriptor) }
            var line: [UInt8] = []
            while line.last != UInt8(ascii: "\n") {
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&entry, 1, 30_000) > 0 else { throw EventProbe.Missing(what: "a line in \(fifo)") }
                var byte: UInt8 = 0
                if Glibc.read(descriptor, &byte, 1) == 1 { line.append(byte) }
            }
            return String(decoding: line.dropLast(), as: UTF8.self)
        }
    }

    /// What a command prints.
    @discardableResult
    func shell(_ command: String) async throws -> String {
        try await blocking.run {
            let pipe = try #require(popen(command, "r"))
            var text: [UInt8] = []
            while case let byte = fgetc(pipe), byte != EOF { text.append(UInt8(truncatingIfNeeded: byte)) }
            pclose(pipe)
            return String(decoding: text, as: UTF8.self)
        }
    }

    /// Whether there is such a process and it has not ended.
    static func isAlive(_ pid: Int32) -> Bool {
        var process = cposix_process()
        return cposix_read_process(pid, &process) == 0 && process.state != CChar(UInt8(ascii: "Z"))
    }
}

/// The events of an attempt, in their order.
struct EventProbe: Sendable {
    private let stream: AsyncStream<AttemptEvent>
    private let continuation: AsyncStream<AttemptEvent>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func append(_ event: AttemptEvent) {
        continuation.yield(event)
        switch event {
        case .ended, .lost, .vanished: continuation.finish()
        case .started, .unsupervised, .waiting, .placed: break
        }
    }

    /// The next event.
    func next() async throws -> AttemptEvent {
        for await event in stream { return event }
        throw Missing(what: "another event")
    }

    /// Waits for the worker's start.
    @discardableResult
    func started() async throws -> Int32 {
        guard case .started(let pid, _) = try await next() else { throw Missing(what: "the worker's start") }
        return pid
    }

    /// Waits for the end; `started` may come before.
    func ended() async throws -> ExitRecord {
        for await event in stream {
            switch event {
            case .started, .waiting, .placed: continue
            case .ended(let record): return record
            case .unsupervised, .lost, .vanished: throw Missing(what: "an exit record instead of \(event)")
            }
        }
        throw Missing(what: "an exit record")
    }

    /// Waits until the outcome is known to be unknowable.
    func lost() async throws -> String {
        for await event in stream {
            if case .lost(let evidence) = event { return evidence }
        }
        throw Missing(what: "the loss of the attempt")
    }

    struct Missing: Error { var what: String }
}
