import Domain
import JSON
import Specification

/// The program that an attempt of a job runs.
struct WorkerCommand: Sendable {
    var argv: [String]
    /// Variables the program itself needs beside those of the worker contract.
    var environment: [(name: String, value: String)]

    /// Chooses the program for a kind.
    ///
    /// - Parameter spec: the job's body, references resolved; `command`, `container` and the engine of `train` are read.
    static func make(kind: JobKind, spec: JSONValue, configuration: ServiceConfiguration) throws(ServiceError) -> WorkerCommand {
        // Where a worker finds the programs that it runs Python for, such as the grader of mathematics.
        let trainer = configuration.trainerDirectory.map { [("ANNEAL_TRAINER", $0)] } ?? []
        switch kind {
        case .command:
            return WorkerCommand(argv: try userCommand(spec["command"]), environment: trainer)
        case .prepare, .generate, .evaluate, .serve:
            return WorkerCommand(argv: [configuration.workerPath], environment: trainer)
        case .train where spec["engine"]?.string == NemoRLEngine.name, .convert where spec["engine"]?.string == NemoRLEngine.name:
            return WorkerCommand(argv: [configuration.workerPath], environment: [])
        case .train, .convert:
            let own = ContainerTerms(job: spec).map { $0.python ?? "python3" }
            guard let python = own ?? configuration.pythonPath, let trainer = configuration.trainerDirectory else {
                throw ServiceError(
                    .unavailable,
                    "a \(kind.rawValue) job needs Python with PyTorch and the anneal_trainer package; "
                        + "set 'python' and 'trainer' in the configuration, or run 'make build' where the daemon was built")
            }
            return WorkerCommand(
                argv: [python, "-m", "anneal_trainer"],
                environment: [("PYTHONPATH", trainer), ("PYTHONUNBUFFERED", "1"), ("TOKENIZERS_PARALLELISM", "false")])
        case .search:
            throw ServiceError(.invalidSpec, "the kind '\(kind.rawValue)' cannot be run by this version")
        }
    }

    private static func userCommand(_ command: JSONValue?) throws(ServiceError) -> [String] {
        switch command {
        case .string(let line): return ["/bin/sh", "-c", line]
        case .array(let words):
            let argv = words.compactMap(\.string)
            guard argv.count == words.count, !argv.isEmpty else { break }
            return argv
        default: break
        }
        throw ServiceError(.invalidSpec, "'command' must be a string or a list of strings")
    }
}
