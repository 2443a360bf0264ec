import CPosix
import Datasets
import EventLoop
import Glibc
import HTTPClient
import JSON

/// A model server that runs as a child of this process, in a session of its own.
///
/// It dies with this process: the kernel kills it when the loop's thread ends, which lasts as long as the process.
@LoopActor
public final class ServerProcess {
    /// Servers started on another port after one lost its port to another program.
    private static let portAttemptsMax = 5
    private static let healthInterval: Duration = .milliseconds(200)
    private static let healthTimeout: Duration = .seconds(5)
    private static let listTimeout: Duration = .seconds(30)
    /// The time between SIGTERM and SIGKILL. A server keeps nothing that would need longer.
    private static let stopGrace: Duration = .seconds(5)

    /// Where the server answers, without a path.
    public let baseURL: String
    public let pid: Int32
    /// What requests call the model.
    public private(set) var model: String
    /// How the server ended; `nil` while it runs.
    public private(set) var ending: String?
    /// Called once when the server ends by itself.
    public var onEnd: (@LoopActor () -> Void)?
    private let log: ServerLog
    private let pidfd: Int32
    private var watcher: DescriptorWatcher?
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// Those that wait for an end which nobody asked for.
    private var watchers: [CheckedContinuation<Void, Never>] = []
    private var wasKilled = false
    private let kernelKills = OutOfMemory.kernelKills()

    /// Starts a server and waits until it is healthy and lists the model.
    ///
    /// Cancelling the task stops the server. The output is appended to the file at `logPath`.
    public static func start(_ command: ServerCommand, logPath: String, startupTimeout: Duration) async throws -> ServerProcess {
        let deadline = SystemTime.monotonicNanoseconds() + UInt64(max(0, startupTimeout.components.seconds)) * 1_000_000_000
        for attempt in 1... {
            guard let port = LocalPort.free() else { throw ServerFailure(message: "no free port for the model server") }
            let server = try ServerProcess(command, port: port, logPath: logPath)
            do {
                try await server.waitUntilHealthy(command, deadline: deadline, timeout: startupTimeout)
                try await server.checkModel(command)
                return server
            } catch {
                let lostItsPort = server.ending != nil && server.logTail.lowercased().contains("address already in use")
                await server.stop()
                guard lostItsPort, attempt < portAttemptsMax else { throw error }
            }
        }
        throw ServerFailure(message: "the model server found no free port")
    }

    private init(_ command: ServerCommand, port: Int, logPath: String) throws {
        guard access(command.executable, X_OK) == 0 else { throw ServerFailure(message: command.absence) }
        model = command.requestName
        let (log, output) = try ServerLog.open(path: logPath)
        defer { close(output) }
        self.log = log
        baseURL = command.baseURL(port: port)
        pid = try Self.spawn(command, port: port, output: output)
        pidfd = cposix_pidfd_open(pid)
        // A watcher that cannot be had is looked for below.
        watcher = pidfd < 0 ? nil : try? DescriptorWatcher(descriptor: pidfd, events: .readable) { [weak self] _ in self?.didEnd() }
        // A pidfd can always be polled (pidfd_open(2)); without one the process could not be told from a later one of its number.
        guard watcher != nil else {
            kill(-pid, SIGKILL)
            throw ServerFailure(message: "the model server cannot be watched: \(String(cString: strerror(errno)))")
        }
    }

    private static func spawn(_ command: ServerCommand, port: Int, output: Int32) throws -> Int32 {
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(input) }
        let argv = CStringList(command.argv(port: port))
        let environment = CStringList(command.environment.map { "\($0.name)=\($0.value)" })
        var request = cposix_start_request()
        var held = cposix_held_process()
        var failure = cposix_start_failure()
        request.stdin_descriptor = input
        request.stdout_descriptor = output
        request.stderr_descriptor = output
        request.cgroup_descriptor = -1
        request.new_session = true
        request.parent_death_signal = SIGKILL
        let started = command.executable.withCString { path in
            request.path = path
            request.argv = UnsafePointer(argv.pointer)
            request.envp = UnsafePointer(environment.pointer)
            guard cposix_start_held(&request, &held, &failure) == 0 else { return false }
            return cposix_start_release(&held, &failure) == 0
        }
        guard started else {
            let reason = String(cString: strerror(failure.error_number))
            throw ServerFailure(message: "\(command.executable) cannot be started: \(reason)")
        }
        return held.pid
    }

    /// The last lines of the server's output.
    public var logTail: String { log.tail() }

    private func waitUntilHealthy(_ command: ServerCommand, deadline: UInt64, timeout: Duration) async throws {
        let client = HTTPClient(connectionsMax: 1)
        while true {
            if ending != nil {
                // An interpreter is there although the engine may not be.
                if case .module = command.engine.template.program, logTail.contains("No module named") {
                    throw ServerFailure(message: command.absence, logTail: logTail)
                }
                throw failure("before it was healthy")
            }
            if SystemTime.monotonicNanoseconds() >= deadline {
                throw ServerFailure(message: "the model server was not healthy after \(timeout.components.seconds) s", logTail: logTail)
            }
            if await Self.isHealthy(baseURL, client: client), ending == nil { return }
            try await Task.sleep(for: Self.healthInterval)
        }
    }

    /// What the end of the server means: when it came, and whether memory was its cause.
    public func failure(_ moment: String) -> ServerFailure {
        var outOfMemory = OutOfMemory.found(in: log.searchedEnd())
        if outOfMemory == nil, wasKilled, let before = kernelKills, let after = OutOfMemory.kernelKills(), after > before {
            outOfMemory = OutOfMemory(isOfHost: true, evidence: "the kernel killed the server for want of memory")
        }
        return ServerFailure(message: "the model server \(ending ?? "went away") \(moment)", logTail: logTail, outOfMemory: outOfMemory)
    }

    /// Returns when the server has ended, or when the task is cancelled.
    public func waitForEnd() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if ending != nil || Task.isCancelled { return continuation.resume() }
                watchers.append(continuation)
            }
        } onCancel: {
            Task { @LoopActor in self.resumeWatchers() }
        }
    }

    private func resumeWatchers() {
        let resumed = watchers
        watchers = []
        for watcher in resumed { watcher.resume() }
    }

    /// Makes sure that the server answers for the model that it will be asked for, and learns what it calls it.
    private func checkModel(_ command: ServerCommand) async throws {
        guard command.engine.template.listsItsModel else { return }
        let names = command.modelNames
        let client = HTTPClient(connectionsMax: 1)
        let request = HTTPClientRequest(url: baseURL + "/v1/models", timeout: Self.listTimeout, connectTimeout: Self.healthTimeout)
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await client.send(request)
        } catch {
            throw ServerFailure(message: "the model server does not list its models: \(error.message)", logTail: logTail)
        }
        // What is no JSON lists nothing.
        let listed = (try? JSONParser.parse(response.body))?["data"]?.array?.compactMap { $0["id"]?.string } ?? []
        guard let name = names.first(where: listed.contains) else {
            let others = listed.isEmpty ? "no model" : listed.map { "'\($0)'" }.joined(separator: ", ")
            throw ServerFailure(
                message: "the model server lists \(others) at \(baseURL)/v1/models and not '\(names[0])', which it would be asked for",
                logTail: logTail)
        }
        model = name
    }

    /// Asks `/health`, and `/v1/models` where there is no such path.
    private static func isHealthy(_ baseURL: String, client: HTTPClient) async -> Bool {
        for path in ["/health", "/v1/models"] {
            let request = HTTPClientRequest(url: baseURL + path, timeout: healthTimeout, connectTimeout: healthTimeout)
            // An error of the connection says only that the server is not there yet.
            guard let response = try? await client.send(request) else { return false }
            if response.status != 404 { return response.isSuccess }
        }
        return false
    }

    /// Ends the server and all processes of its session's group; returns when it has ended.
    public func stop() async {
        onEnd = nil
        guard ending == nil else { return }
        kill(-pid, SIGTERM)
        let timer = LoopTimer(after: Self.stopGrace) { [pid] in kill(-pid, SIGKILL) }
        await withCheckedContinuation { waiters.append($0) }
        timer.cancel()
    }

    private func didEnd() {
        guard ending == nil else { return }
        // The zombie still holds its number, so the group cannot be another's yet.
        kill(-pid, SIGKILL)
        var exitCode: Int32 = -1
        var signal: Int32 = -1
        guard cposix_pidfd_reap(pidfd, &exitCode, &signal) != 0 else { return }
        watcher?.cancel()
        watcher = nil
        close(pidfd)
        ending = signal >= 0 ? "was ended by signal \(signal)" : "ended with exit code \(exitCode)"
        wasKilled = signal == SIGKILL
        for waiter in waiters { waiter.resume() }
        waiters = []
        resumeWatchers()
        onEnd?()
        onEnd = nil
    }
}

/// A NULL-terminated list of C strings that lives as long as this object.
private final class CStringList {
    private let strings: [UnsafeMutablePointer<CChar>?]
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    init(_ texts: [String]) {
        strings = texts.map { strdup($0) } + [nil]
        pointer = .allocate(capacity: strings.count)
        pointer.initialize(from: strings, count: strings.count)
    }

    deinit {
        for string in strings { free(string) }
        pointer.deallocate()
    }
}
