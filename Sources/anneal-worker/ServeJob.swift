import Domain
import EventLoop
import Generation
import Glibc
import JSON

/// A job of kind `serve`: keeps a server for other jobs until it is told to stop.
struct ServeJob: Sendable {
    /// The file of the attempt's folder that says where the server answers, and is there only while it does.
    static let endpointFile = "endpoint.json"

    let context: WorkerContext

    /// Serves; ends only by throwing.
    @LoopActor
    func run() async throws -> Never {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        let model = try context.input(at: "/model")?.path ?? spec.required("model")
        guard case .started(var command, let timeout) = try EvaluateRequest.server(spec.fields("server"), model: model, context: context)
        else { throw WorkerFailure.badRequest("/server/engine", "is missing") }
        if let host = try host() { command.host = host }
        // The server's output is the job's, so that it can be followed like that of any other program.
        let starter = try ServerStarter(
            command, logPath: context.attemptFolder + "/stdout.log",
            notePath: context.outputFolder + "/" + ServerRestarts.note(of: "server"),
            startupTimeout: timeout, log: WorkerLog.line)
        do {
            try await serve(starter)
        } catch {
            var failure = WorkerFailure(error)
            if let restart = starter.restart { failure.summary = ["server_restart": .string(restart)] }
            throw failure
        }
    }

    /// The address of this node that those who use the server reach; `nil` where they are on this machine.
    private func host() throws(WorkerFailure) -> String? {
        guard context.variable("ANNEAL_CLUSTER") != nil else { return nil }
        if let named = context.variable(Self.hostVariable), !named.isEmpty { return named }
        let daemon = context.variable("ANNEAL_URL") ?? ""
        guard let address = NodeAddress.towards(daemon) else {
            throw .badRequest(
                "",
                "no address of this node leads to the daemon at '\(daemon)': set 'url' of the cluster, or \(Self.hostVariable) of the job")
        }
        return address
    }

    /// Takes the place of the address that leads to the daemon.
    private static let hostVariable = "ANNEAL_SERVE_HOST"

    @LoopActor
    private func serve(_ starter: ServerStarter) async throws -> Never {
        let endpoint = context.attemptFolder + "/" + Self.endpointFile
        var generation = 0
        while true {
            let server = try await starter.start()
            generation += 1
            let document: JSONObject = [
                "version": 1, "url": .string(server.baseURL), "model": .string(server.model),
                "engine": .string(starter.command.engine.rawValue), "generation": .int(Int64(generation)),
                "concurrency": starter.concurrencyMax.map { .int(Int64($0)) } ?? .null,
            ]
            do {
                try OutputsFile(path: endpoint).write(document)
                await server.waitForEnd()
            } catch {
                await server.stop()
                throw error
            }
            unlink(endpoint)
            guard server.ending != nil else {
                WorkerLog.line("stopping the model server")
                await server.stop()
                throw WorkerFailure.interrupted
            }
            let failure = server.failure("while it served")
            guard try starter.lowers(after: failure) else { throw starter.explained(failure) }
        }
    }
}
