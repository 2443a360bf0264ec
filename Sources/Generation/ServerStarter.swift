import Datasets
import Domain
import EventLoop
import JSON

/// Starts a server and, where it runs out of memory, once more with a smaller limit.
///
/// What helped is written down beside the job's outputs, so that its later attempts begin with it: no job pays for it twice.
@LoopActor
public final class ServerStarter {
    /// Requests that are sent at once to a server which has no limit of its own, once it has run out of memory.
    public nonisolated static let clientLimit = 4

    public private(set) var command: ServerCommand
    /// What was lowered and why, in words; `nil` where nothing was.
    public private(set) var restart: String?
    /// Requests that its clients may send at once; `nil` for as many as they like.
    public private(set) var concurrencyMax: Int?
    private let logPath: String
    private let notePath: String
    private let startupTimeout: Duration
    private let log: @LoopActor (String) -> Void

    /// - Parameters:
    ///   - logPath: the file that the server's output is appended to.
    ///   - notePath: the file that keeps a lowered limit for later attempts.
    public init(
        _ command: ServerCommand, logPath: String, notePath: String, startupTimeout: Duration, log: @escaping @LoopActor (String) -> Void
    ) throws {
        self.command = command
        (self.logPath, self.notePath, self.startupTimeout, self.log) = (logPath, notePath, startupTimeout, log)
        guard let known = try Self.note(at: notePath), known["engine"]?.string == command.engine.rawValue else { return }
        lower(because: known["because"]?.string ?? "an earlier attempt ran out of memory")
    }

    /// Starts the server; returns when it is healthy and serves the model.
    public func start() async throws -> ServerProcess {
        while true {
            log("starting \(command.argv(port: 0).prefix { $0 != "--host" }.joined(separator: " "))")
            do {
                let server = try await ServerProcess.start(command, logPath: logPath, startupTimeout: startupTimeout)
                log("the model server answers at \(server.baseURL)")
                return server
            } catch let failure as ServerFailure {
                guard try lowers(after: failure) else { throw explained(failure) }
            }
        }
    }

    /// Lowers the limit where the server died of memory and that was not done before.
    ///
    /// - Returns: false where another start would not help.
    public func lowers(after failure: ServerFailure) throws -> Bool {
        guard let cause = failure.outOfMemory, restart == nil else { return false }
        lower(because: cause.evidence)
        guard let restart else { return false }
        log("\(failure.message); \(restart)")
        let note: JSONObject = [
            "engine": .string(command.engine.rawValue), "because": .string(cause.evidence), "restart": .string(restart),
        ]
        let writer = try DatasetWriter(path: notePath)
        try writer.append(line: JSONWriter().bytes(of: .object(note)))
        _ = try writer.finish()
        return true
    }

    /// A failure with what had been lowered before it.
    public func explained(_ failure: ServerFailure) -> ServerFailure {
        guard let restart else { return failure }
        var failure = failure
        failure.message += " (\(restart))"
        return failure
    }

    private func lower(because evidence: String) {
        if let (lowered, limit) = command.lowered() {
            command = lowered
            restart = "the server ran out of memory and was started again with \(limit): \(evidence)"
        } else if command.engine.template.limitFlag == nil {
            concurrencyMax = Self.clientLimit
            restart = "the server ran out of memory and was started again for \(Self.clientLimit) requests at once: \(evidence)"
        }
    }

    private static func note(at path: String) throws -> JSONValue? {
        do throws(FileError) {
            let file = try FileReader(path: path)
            let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 16)
            defer { chunk.deallocate() }
            let count = try file.read(into: chunk)
            // A note that cannot be read is as good as none: the server then runs out of memory once more.
            return try? JSONParser.parse(Array(chunk[..<count]))
        } catch  where error.isMissing {
            return nil
        }
    }
}
