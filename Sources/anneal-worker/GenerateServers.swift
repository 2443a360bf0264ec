import EventLoop
import Generation
import JSON

/// The servers that a job of kind `generate` starts for itself.
@LoopActor
struct GenerateServers {
    let context: WorkerContext
    let request: GenerateRequest
    /// Makes the run for settings that name the model.
    let make: @LoopActor (GenerationSettings) throws -> GenerateRun

    /// Starts the servers, asks them for what is missing, and stops them. Returns the run that asked last.
    func ask(_ commands: [ServerCommand], startupTimeout: Duration) async throws -> GenerateRun {
        let starters = try commands.indices.map { index in
            let name = commands.count == 1 ? "server" : "server-\(index)"
            return try ServerStarter(
                commands[index], logPath: "\(context.attemptFolder)/\(name).log",
                notePath: context.outputFolder + "/" + ServerRestarts.note(of: name),
                startupTimeout: startupTimeout, log: WorkerLog.line)
        }
        while true {
            do {
                return try await ask(starters)
            } catch let failure as ServerFailure {
                // Of several servers, others go on with the work of one that died.
                guard starters.count == 1, try starters[0].lowers(after: failure) else { throw failure }
            }
        }
    }

    private func ask(_ starters: [ServerStarter]) async throws -> GenerateRun {
        var servers: [ServerProcess] = []
        do {
            for starter in starters { servers.append(try await starter.start()) }
            let run = try make(settings(starters, servers))
            let addresses = servers.map { GenerationServer.Address(url: $0.baseURL) }
            let limits = starters.compactMap(\.concurrencyMax)
            let asking = Task { @LoopActor in
                try await run.ask(addresses, concurrencyMax: limits.isEmpty ? nil : limits.reduce(0, +))
            }
            // Without its server every further request would only wait for its retries to run out; others go on with its work.
            if servers.count == 1 { servers[0].onEnd = { asking.cancel() } }
            let result = await withTaskCancellationHandler {
                await asking.result
            } onCancel: {
                asking.cancel()
            }
            try result.get()
            for server in servers { await server.stop() }
            return run
        } catch {
            let ended = servers.indices.first { servers[$0].ending != nil }
            for server in servers { await server.stop() }
            // Of several servers the work does not end with one; what ended it is told.
            guard let ended, servers.count == 1 || error is GenerationStopped else { throw error }
            throw starters[ended].explained(servers[ended].failure("in the middle of the generation"))
        }
    }

    private func settings(_ starters: [ServerStarter], _ servers: [ServerProcess]) -> GenerationSettings {
        var settings = request.settings
        settings.model = servers.first?.model ?? request.model
        if let command = starters.first?.command, command.engine == .transformers {
            settings.extra = SamplingExtension.extra(model: command.model, settings)
        }
        return settings
    }
}
