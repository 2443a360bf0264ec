/// Why a request for a generation came to nothing.
public struct GenerationFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The causes that are told apart, because different things help against them.
    public enum Cause: String, Sendable, CaseIterable {
        /// The server says that it has too much to do (429, 503). Waiting helps; no record is given up for it.
        case busy
        /// Nobody answers at the address. As `busy`.
        case unreachable
        /// No answer in time.
        case timeout
        /// The connection ended before the answer did.
        case closed
        /// The server answered with an error of its own (500 and above).
        case serverError = "server_error"
        /// What came is no answer of a model: a page of a proxy, a broken stream.
        case garbage
        /// The answer is longer than any that makes sense. Asking again would bring as much.
        case tooLong = "too_long"
        /// The server refuses the request as it is (400 to 499). Asking again is of no use.
        case refused

        /// Requests for one record that may end in this way, the first included; `nil` where they do not count.
        public var attemptsMax: Int? {
            switch self {
            case .busy, .unreachable: nil
            case .timeout: 3
            case .closed, .serverError, .garbage: 5
            case .refused, .tooLong: 1
            }
        }
    }

    public var cause: Cause
    public var message: String
    /// The status of the answer; 0 where there was none.
    public var status: Int
    /// The address that was asked; `nil` before it is known.
    public var url: String?

    public init(_ cause: Cause, _ message: String, status: Int = 0) {
        (self.cause, self.message, self.status) = (cause, message, status)
    }

    public var description: String { message }

    /// The message with the address that was asked.
    public var placed: String { url.map { "\(message) (\($0))" } ?? message }
}

/// Why a generation ended before its time. What was done is kept.
public struct GenerationStopped: Error, Sendable, CustomStringConvertible {
    /// The last thing that went wrong at the server.
    public var failure: GenerationFailure
    public var description: String
}
