import Domain
import Service
import Store

/// Who sends a request, and what it may do.
struct Caller: Sendable, Equatable {
    enum Identity: Sendable, Equatable {
        /// No token was needed.
        case anonymous
        /// The Unix socket, which is its owner's.
        case socket(user: UInt32?)
        /// The token of the daemon's configuration.
        case configured
        /// A token that was made through the API.
        case token(id: String, name: String)
        /// A worker, with the token of its attempt.
        case attempt(AttemptIdentity)
    }

    var identity: Identity
    var scope: AccessScope
    var reach: Reach
    /// Where the request came from; `nil` for the Unix socket.
    var address: String?

    init(_ identity: Identity, scope: AccessScope = .admin, reach: Reach = .everything, address: String?) {
        self.identity = identity
        self.scope = scope
        self.reach = reach
        self.address = address
    }

    /// What a token that was made through the API allows.
    init(_ record: TokenRecord, address: String?) {
        self.init(
            .token(id: record.id, name: record.name), scope: record.scope,
            reach: record.projects.map { .projects(Set($0)) } ?? .everything, address: address)
    }

    /// What the worker of an attempt may do: look at its own experiment; and log for its own job.
    init(_ attempt: AttemptIdentity, address: String?) {
        self.init(.attempt(attempt), scope: .read, reach: .experiment(attempt.experimentID), address: address)
    }

    /// The attempt whose worker calls.
    var attemptID: String? { if case .attempt(let attempt) = identity { attempt.attemptID } else { nil } }

    /// The token that was made through the API.
    var tokenID: String? { if case .token(let id, _) = identity { id } else { nil } }

    /// What its rate is counted under; `nil` where only its address counts.
    var rateKey: String? { tokenID ?? attemptID }

    /// For the audit log: the kind and the name.
    var audited: (kind: String, name: String?) {
        switch identity {
        case .anonymous: ("anonymous", nil)
        case .socket(let user): ("socket", user.map { "uid \($0)" })
        case .configured: ("configured", nil)
        case .token(_, let name): ("token", name)
        case .attempt(let attempt): ("attempt", attempt.attemptID)
        }
    }

    /// For people: who makes a token.
    var description: String {
        let (kind, name) = audited
        return name.map { "\(kind) \($0)" } ?? kind
    }

    /// Throws where an operation is not this caller's to call.
    func check(_ route: Route) throws(ServiceError) {
        if case .attempt = identity {
            guard route.access == .open || (route.access <= .log && route.bound.isOfExperiments) else {
                throw ServiceError(
                    .forbidden, "an attempt's token may only read what is of its own experiment, and log for its own job")
            }
            return
        }
        guard let needed = route.access.scope else { return }
        guard scope >= needed else {
            throw ServiceError(
                .forbidden, "this needs a token of scope '\(needed.rawValue)', and the scope of \(described) is '\(scope.rawValue)'")
        }
        if case .projects(let names) = reach, route.bound == .unlimited {
            throw ServiceError(
                .forbidden,
                "this covers all projects, and \(described) is limited to \(names.sorted().map { "'\($0)'" }.joined(separator: ", "))")
        }
    }

    private var described: String { if case .token(_, let name) = identity { "the token '\(name)'" } else { "this caller" } }
}
