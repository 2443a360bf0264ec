import Datasets
import Domain
import Evaluation
import Generation
import HTTPClient
import JSON

/// What ends a worker's work before its time: an exit code and what outputs.json says of it.
struct WorkerFailure: Error {
    /// Exit codes of the worker contract.
    enum ExitCode {
        static let done: Int32 = 0
        static let failed: Int32 = 1
        static let badRequest: Int32 = 64
        static let badData: Int32 = 65
        static let interrupted: Int32 = 75
    }

    var exitCode: Int32
    var reason: Reason
    var message: String
    var issues: [DatasetIssue] = []
    /// What is told of the attempt although it did not end well.
    var summary: JSONValue?

    static func badRequest(_ pointer: String, _ detail: String) -> WorkerFailure {
        WorkerFailure(
            exitCode: ExitCode.badRequest, reason: .badConfig, message: pointer.isEmpty ? detail : "\(pointer): \(detail)",
            issues: [DatasetIssue(line: 0, pointer: pointer, detail: detail)])
    }

    static func badData(_ message: String, issues: [DatasetIssue] = []) -> WorkerFailure {
        WorkerFailure(exitCode: ExitCode.badData, reason: .badData, message: message, issues: issues)
    }

    static func serverFailed(_ message: String) -> WorkerFailure {
        WorkerFailure(exitCode: ExitCode.failed, reason: .serverFailed, message: message)
    }

    static let interrupted = WorkerFailure(
        exitCode: ExitCode.interrupted, reason: .interrupted,
        message: "asked to stop; what is done is kept and a new attempt goes on from there")

    /// What an error of the libraries means for the job.
    init(_ error: any Error) {
        switch error {
        case let failure as WorkerFailure: self = failure
        case is CancellationError: self = .interrupted
        case let error as FileError where error.isDiskFull:
            self.init(exitCode: ExitCode.failed, reason: .diskFull, message: "the disk is full: \(error)")
        case let error as FileError where error.isMissing:
            self.init(exitCode: ExitCode.badRequest, reason: .badConfig, message: "\(error)")
        case let error as DatasetError:
            let isRequest = error.code == .badRequest
            self.init(
                exitCode: isRequest ? ExitCode.badRequest : ExitCode.badData, reason: isRequest ? .badConfig : .badData,
                message: error.message, issues: error.issues)
        case let error as Gate.RuleError: self = .badRequest("/gate" + (JSONPointer() / error.key).description, error.description)
        case let error as ServerFailure:
            self = .serverFailed(error.description)
            if let memory = error.outOfMemory { reason = memory.isOfHost ? .hostOOM : .cudaOOM }
        case let error as ModelServerError where error.code == .refused:
            self.init(exitCode: ExitCode.badRequest, reason: .badConfig, message: error.message)
        case let error as ModelServerError: self = .serverFailed(error.message)
        default: self.init(exitCode: ExitCode.failed, reason: .crashed, message: "\(error)")
        }
    }

    init(exitCode: Int32, reason: Reason, message: String, issues: [DatasetIssue] = []) {
        self.exitCode = exitCode
        self.reason = reason
        self.message = message
        self.issues = issues
    }

    /// The member `error` of outputs.json.
    var json: JSONValue {
        var members: JSONObject = ["reason": .string(reason.rawValue), "message": .string(message)]
        if !issues.isEmpty {
            members["errors"] = .array(
                issues.map { issue in
                    var entry: JSONObject = ["pointer": .string(issue.pointer), "detail": .string(issue.detail)]
                    // An error of the request stands in no line.
                    if issue.line > 0 { entry["line"] = .int(Int64(issue.line)) }
                    return .object(entry)
                })
        }
        return .object(members)
    }
}
