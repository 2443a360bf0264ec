import Domain
import Glibc
import Specification

/// Runs the programs of a NeMo RL checkout for a job, and says what their ends mean.
struct NemoRLProgram: Sendable {
    let context: WorkerContext
    let interruption: Interruption

    /// Runs a program of the checkout to its end.
    ///
    /// - Parameter stopped: what is told where the job was stopped meanwhile.
    func run(_ arguments: [String], in root: String, stopped: () -> WorkerFailure) async throws {
        let ending = try await EvaluateChild.follow(arguments, environment: context.environment, in: root)
        if interruption.isRequested { throw stopped() }
        switch ending {
        case .exit(0): return
        case .exit(let code): throw failed("ended with exit code \(code)", code: code)
        case .signal(let signal): throw failed("was ended by signal \(signal)", code: 128 + signal)
        case .timeout: throw failed("was late", code: WorkerFailure.ExitCode.failed)
        }
    }

    /// Turns a checkpoint into a model in Hugging Face's format; returns the model's folder. One that an earlier attempt made is kept.
    func export(
        _ checkpoint: NemoRLCheckpoints.Checkpoint, by export: NemoRLExport, stopped: () -> WorkerFailure
    ) async throws -> String {
        let target = "\(context.outputFolder)/hf_step_\(checkpoint.step)"
        if access(target + "/config.json", F_OK) == 0 { return target }
        guard let form = checkpoint.weightsForm else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .badConfig,
                message: "no converter of NeMo RL reads the weights of \(checkpoint.path), an adapter or parts in safetensors; the "
                    + "checkpoints are kept: of a full model, train with 'export: later'; of an adapter, 'export: none' and merge it")
        }
        // The converter refuses a folder that is there; it gets its name when it is complete.
        let partial = "\(context.outputFolder)/tmp_hf_step_\(checkpoint.step).\(context.variable("ANNEAL_ATTEMPT_ID") ?? "partial")"
        let arguments = export.arguments(checkpoint: checkpoint.path, form: form, to: partial)
        WorkerLog.line("exporting step \(checkpoint.step): \(arguments.joined(separator: " "))")
        try await run(arguments, in: export.root, stopped: stopped)
        guard access(partial + "/config.json", F_OK) == 0, rename(partial, target) == 0 else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed,
                message: "NeMo RL's converter left no model with a config.json in \(partial)")
        }
        return target
    }

    private func failed(_ how: String, code: Int32) -> WorkerFailure {
        // The cause is told by the program's own log, which the daemon reads where the worker names none.
        // Codes that mean something else from a worker are told as a plain failure.
        let own = [WorkerFailure.ExitCode.badRequest, WorkerFailure.ExitCode.badData, WorkerFailure.ExitCode.interrupted]
        return WorkerFailure(
            exitCode: own.contains(code) ? WorkerFailure.ExitCode.failed : code, reason: Reason(rawValue: "internal_error"),
            message: "NeMo RL \(how)")
    }
}
