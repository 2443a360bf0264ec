import EventLoop
import Generation

/// Gives access to a model server, which is started and stopped where it does not run already.
@LoopActor
struct EvaluateServer {
    let context: WorkerContext
    /// The longest time of one request.
    let requestTimeout: Duration
    /// Requests at once.
    let concurrency: Int

    /// Runs `body` with a client of the server.
    ///
    /// - Parameter name: what a server that is started is called in messages; its output goes to `<name>.log`.
    func withClient<Success: Sendable>(
        of server: EvaluateRequest.Server, name: String, _ body: @escaping @LoopActor (CompletionClient) async throws -> Success
    ) async throws -> Success {
        switch server {
        case .remote(let url, _, let apiKey): try await body(client(url, apiKey: apiKey))
        case .started(let command, let timeout): try await withServer(command, timeout, name, body)
        }
    }

    private func client(_ url: String, apiKey: String?) -> CompletionClient {
        CompletionClient(baseURL: url, apiKey: apiKey, requestTimeout: requestTimeout, connectionsMax: concurrency, log: WorkerLog.line)
    }

    private func withServer<Success: Sendable>(
        _ command: ServerCommand, _ timeout: Duration, _ name: String,
        _ body: @escaping @LoopActor (CompletionClient) async throws -> Success
    ) async throws -> Success {
        WorkerLog.line("starting \(command.executable) serve \(command.model)")
        let server = try await ServerProcess.start(command, logPath: "\(context.attemptFolder)/\(name).log", startupTimeout: timeout)
        WorkerLog.line("the model server answers at \(server.baseURL)")
        let client = client(server.baseURL, apiKey: nil)
        let asking = Task { @LoopActor in try await body(client) }
        // Without its server every further request would only wait for its retries to run out.
        server.onEnd = { asking.cancel() }
        let result = await withTaskCancellationHandler {
            await asking.result
        } onCancel: {
            asking.cancel()
        }
        if let ending = server.ending {
            throw ServerFailure(message: "the model server \(ending) in the middle of the evaluation", logTail: server.logTail)
        }
        await server.stop()
        return try result.get()
    }
}
