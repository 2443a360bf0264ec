import HTTPServer
import JSON
import Service
import Store

/// Errors as MLflow's clients expect them (mlflow/protos/databricks.proto: ErrorCode; mlflow/exceptions.py: the statuses).
enum MLflowProblem {
    static func answer(_ error: any Error) -> Answer {
        let (status, code, message) = parts(error)
        var answer = Answer.json(
            bytes: JSONWriter().bytes(of: ["error_code": .string(code), "message": .string(message)]), status: HTTPStatus(status))
        // Clients wait as long as they are told to and send again.
        if status == 429 || status == 503 { answer.headers.set("Retry-After", Problem(error).headers["Retry-After"] ?? "1") }
        return answer
    }

    private static func parts(_ error: any Error) -> (Int, String, String) {
        if case .paramChanged(let key, let known, let asked, let run)? = error as? TrackingError {
            return (
                400, "INVALID_PARAMETER_VALUE",
                "Changing param values is not allowed. Param with key='\(key)' was already logged with value='\(known)' for run ID='\(run)'. "
                    + "Attempted logging new value '\(asked)'."
            )
        }
        let problem = Problem(error)
        let detail = problem.error.detail
        let status = Problem.statusAndTitle(of: problem.error.code.wrapped).0.code
        switch status {
        case 401: return (401, "UNAUTHENTICATED", detail)
        case 403: return (403, "PERMISSION_DENIED", detail)
        case 404: return (404, "RESOURCE_DOES_NOT_EXIST", detail)
        case 405: return (404, "ENDPOINT_NOT_FOUND", detail)
        case 409 where problem.error.code.wrapped == .conflict: return (400, "INVALID_STATE", detail)
        case 413: return (400, "INVALID_PARAMETER_VALUE", detail)
        case 429: return (429, "REQUEST_LIMIT_EXCEEDED", detail)
        case 503, 507: return (503, "TEMPORARILY_UNAVAILABLE", detail)
        case 500...: return (500, "INTERNAL_ERROR", detail)
        default: return (400, "INVALID_PARAMETER_VALUE", detail)
        }
    }
}
