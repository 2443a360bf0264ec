import Domain
import JSON
import Specification

/// Why a request could not be served, in terms of Anneal and not of HTTP.
///
/// The codes are closed inside and open outside: callers compare with the static members, new ones break nobody.
public struct ServiceError: Error, Sendable {
    /// What went wrong, as a word that clients compare.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The private list that makes the mapping to HTTP exhaustive.
        package enum Wrapped: String, CaseIterable, Sendable {
            case badRequest = "bad_request"
            case unauthorized
            case forbidden
            case notFound = "not_found"
            case methodNotAllowed = "method_not_allowed"
            case notAcceptable = "not_acceptable"
            case conflict
            case gone
            case tooLarge = "too_large"
            case unsupportedMediaType = "unsupported_media_type"
            case invalidSpec = "invalid_spec"
            case unresolvedSpec = "unresolved_spec"
            case cannotFit = "cannot_fit"
            case invalidDataset = "invalid_dataset"
            case idempotencyMismatch = "idempotency_mismatch"
            case misdirected
            case tooMany = "too_many"
            case `internal` = "internal"
            case unavailable
            case diskFull = "disk_full"
        }

        package let wrapped: Wrapped
        public var description: String { wrapped.rawValue }

        /// The request is malformed: a query parameter, a header or a body that is not JSON or YAML.
        public static let badRequest = Code(wrapped: .badRequest)
        public static let unauthorized = Code(wrapped: .unauthorized)
        public static let forbidden = Code(wrapped: .forbidden)
        public static let notFound = Code(wrapped: .notFound)
        public static let methodNotAllowed = Code(wrapped: .methodNotAllowed)
        public static let notAcceptable = Code(wrapped: .notAcceptable)
        /// The request is sound but what it acts on is in another state.
        public static let conflict = Code(wrapped: .conflict)
        /// It existed and was deleted.
        public static let gone = Code(wrapped: .gone)
        public static let tooLarge = Code(wrapped: .tooLarge)
        public static let unsupportedMediaType = Code(wrapped: .unsupportedMediaType)
        /// The spec breaks rules; `errors` lists every one.
        public static let invalidSpec = Code(wrapped: .invalidSpec)
        /// The spec is well formed, but names what does not exist, needs itself, or contradicts itself.
        public static let unresolvedSpec = Code(wrapped: .unresolvedSpec)
        /// A job asks for more than this machine can ever offer.
        public static let cannotFit = Code(wrapped: .cannotFit)
        public static let invalidDataset = Code(wrapped: .invalidDataset)
        /// The idempotency key was used before with another request.
        public static let idempotencyMismatch = Code(wrapped: .idempotencyMismatch)
        /// The request names a host that this daemon does not serve.
        public static let misdirected = Code(wrapped: .misdirected)
        public static let tooMany = Code(wrapped: .tooMany)
        public static let `internal` = Code(wrapped: .internal)
        /// The daemon starts or stops.
        public static let unavailable = Code(wrapped: .unavailable)
        public static let diskFull = Code(wrapped: .diskFull)
    }

    /// One fault of a document, with its place.
    public struct Detail: Sendable, Hashable {
        public var pointer: String
        public var line: Int?
        public var column: Int?
        public var detail: String

        public init(pointer: String, line: Int? = nil, column: Int? = nil, detail: String) {
            self.pointer = pointer
            self.line = line
            self.column = column
            self.detail = detail
        }
    }

    public var code: Code
    public var detail: String
    public var errors: [Detail]
    /// Seconds after which the same may succeed; `nil` where nothing is known.
    public var retryAfter: Int?

    public init(_ code: Code, _ detail: String, errors: [Detail] = []) {
        self.code = code
        self.detail = detail
        self.errors = errors
    }

    /// What every look-up of a missing thing answers.
    public static func missing(_ noun: String, _ id: String) -> ServiceError {
        ServiceError(.notFound, "there is no \(noun) '\(id)'")
    }
}
