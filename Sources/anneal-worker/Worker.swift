import Domain
import EventLoop
import Glibc
import JSON
import Specification

/// The program that anneald starts for jobs of kind `prepare`, `generate`, `evaluate`, `serve`, and `train` with the engine `nemo-rl`.
@main
struct Worker {
    static func main() async {
        // A server that closes a connection must not end the worker.
        signal(SIGPIPE, SIG_IGN)
        exit(await run())
    }

    private static func run() async -> Int32 {
        let context: WorkerContext
        do {
            context = try WorkerContext()
        } catch {
            let failure = WorkerFailure(error)
            WorkerLog.line("error: \(failure.message)")
            return failure.exitCode
        }
        let interruption = Interruption()
        do {
            try await interruption.watch()
        } catch {
            WorkerLog.line("warning: SIGTERM will end the worker at once: \(error)")
        }
        let work = Task {
            do {
                return try await perform(context, interruption)
            } catch {
                return report(await LostServer.judge(WorkerFailure(error), context: context), context: context)
            }
        }
        interruption.cancels(work)
        return await work.value
    }

    private static func perform(_ context: WorkerContext, _ interruption: Interruption) async throws -> Int32 {
        switch context.job["kind"]?.string {
        case JobKind.prepare.rawValue?:
            try context.outputs.write(try await PrepareJob(context: context, interruption: interruption).run())
            return WorkerFailure.ExitCode.done
        case JobKind.evaluate.rawValue?:
            let (document, passed) = try await EvaluateJob(context: context).run()
            try context.outputs.write(ServerRestarts.tell(document, context: context))
            return passed ? WorkerFailure.ExitCode.done : WorkerFailure.ExitCode.failed
        case JobKind.generate.rawValue?:
            try context.outputs.write(ServerRestarts.tell(try await GenerateJob(context: context).run(), context: context))
            return WorkerFailure.ExitCode.done
        case JobKind.serve.rawValue?:
            try await ServeJob(context: context).run()
        case JobKind.train.rawValue? where context.job["engine"]?.string == NemoRLEngine.name:
            try context.outputs.write(try await NemoRLJob(context: context, interruption: interruption).run())
            return WorkerFailure.ExitCode.done
        case JobKind.convert.rawValue? where context.job["engine"]?.string == NemoRLEngine.name:
            try context.outputs.write(try await NemoRLExportJob(context: context, interruption: interruption).run())
            return WorkerFailure.ExitCode.done
        case let kind:
            throw WorkerFailure.badRequest("/kind", "'\(kind ?? "")' is none of prepare, generate, evaluate, serve")
        }
    }

    private static func report(_ failure: WorkerFailure, context: WorkerContext) -> Int32 {
        WorkerLog.line("error: \(failure.reason): \(failure.message)")
        for issue in failure.issues.prefix(20) where issue.line > 0 { WorkerLog.line("  \(issue)") }
        do {
            var document: JSONObject = ["error": failure.json]
            document["summary"] = failure.summary
            try context.outputs.write(document)
        } catch {
            WorkerLog.line("error: the outputs cannot be written: \(error)")
        }
        return failure.exitCode
    }
}
