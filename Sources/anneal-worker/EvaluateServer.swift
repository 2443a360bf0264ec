import EventLoop
import Generation

/// Gives access to a model server, which is started and stopped where it does not run already.
@LoopActor
struct EvaluateServer {
    let context: WorkerContext
    /// Requests at once.
    let concurrency: Int

    /// Runs `body` with the server, and with another one where a server that was started ran out of memory in the middle.
    ///
    /// - Parameter name: what a server that is started is called in messages; its output goes to `<name>.log`.
    func withServer<Success: Sendable>(
        of server: EvaluateRequest.Server, name: String, _ body: @escaping @LoopActor (ModelServer) async throws -> Success
    ) async throws -> Success {
        switch server {
        case .remote(let url, _, let apiKey): try await body(running(url, apiKey: apiKey))
        case .shared(let server): try await body(running(server.url, concurrencyMax: server.concurrencyMax))
        case .started(let command, let timeout): try await withStarted(command, timeout, name, body)
        }
    }

    private func running(_ url: String, apiKey: String? = nil, concurrencyMax: Int? = nil) -> ModelServer {
        ModelServer(baseURL: url, apiKey: apiKey, connectionsMax: min(concurrency, concurrencyMax ?? concurrency), log: WorkerLog.line)
    }

    private func withStarted<Success: Sendable>(
        _ command: ServerCommand, _ timeout: Duration, _ name: String,
        _ body: @escaping @LoopActor (ModelServer) async throws -> Success
    ) async throws -> Success {
        let starter = try ServerStarter(
            command, logPath: "\(context.attemptFolder)/\(name).log", notePath: context.outputFolder + "/" + ServerRestarts.note(of: name),
            startupTimeout: timeout, log: WorkerLog.line)
        while true {
            let server = try await starter.start()
            let running = running(server.baseURL, concurrencyMax: starter.concurrencyMax)
            let asking = Task { @LoopActor in try await body(running) }
            // Without its server every further request would only wait for its retries to run out.
            server.onEnd = { asking.cancel() }
            let result = await withTaskCancellationHandler {
                await asking.result
            } onCancel: {
                asking.cancel()
            }
            // What is answered needs the server no more, whether it has ended or not.
            if server.ending == nil || (try? result.get()) != nil {
                await server.stop()
                return try result.get()
            }
            let failure = server.failure("in the middle of the evaluation")
            guard try starter.lowers(after: failure) else { throw starter.explained(failure) }
        }
    }
}
