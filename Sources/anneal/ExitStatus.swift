/// What the process tells its caller by its exit code.
enum ExitStatus: Int32, Sendable {
    /// What was asked for was done.
    case done = 0
    /// A job failed, or the daemon could not do what was asked.
    case failed = 1
    /// The command line, the spec or the request is wrong.
    case usage = 2
    /// There is nothing of that name.
    case notFound = 3
    /// The state of things does not allow it.
    case conflict = 4
    /// No daemon answers.
    case unreachable = 5

    /// The status for an HTTP answer that is no success.
    init(httpStatus: Int) {
        switch httpStatus {
        case 404, 410: self = .notFound
        case 409: self = .conflict
        // A daemon that starts or stops answers, but not yet or no longer for work.
        case 503: self = .unreachable
        case 400..<500: self = .usage
        default: self = .failed
        }
    }
}
