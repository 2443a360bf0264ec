import APITypes
import Domain
import EventLoop
import Store

/// The attempt that a worker's token stands for.
public struct AttemptIdentity: Sendable, Hashable {
    public var attemptID: String
    public var jobID: String
    public var experimentID: String
    public var project: String
}

// Tokens: who may call, and what.
extension AnnealService {
    /// Between two times at which the last uses of tokens are written down.
    static let tokenUseInterval = 60

    /// Reads the tokens in force.
    func recoverTokens() async throws {
        for record in try await store.read({ try $0.tokens() }) { accessTokens.add(record) }
    }

    /// The attempt that a token was made for, while that attempt lives.
    public func attempt(ofToken token: String) -> AttemptIdentity? { attemptsByToken[TokenHash.of(token)] }

    /// What stands for a token where the token itself should not be kept.
    public nonisolated static func proof(ofToken token: String) -> String { TokenHash.of(token) }

    /// The token in force that is shown; notes its use in memory.
    public func accessToken(_ token: String) -> TokenRecord? { accessTokens.find(token, at: now) }

    /// Makes a token. It is in the answer, and nowhere else from then on.
    ///
    /// - Parameter creator: who asks for it.
    public func createToken(
        name: String, scope: AccessScope, projects: [String]?, lifetime: Duration?, by creator: String
    ) async throws -> TokenView {
        if scope == .admin, projects != nil {
            throw ServiceError(
                .conflict, "an admin token changes what all projects share, and cannot be limited to some",
                errors: [.init(pointer: "/projects", detail: "stands only with scope read or submit")])
        }
        guard accessTokens.count < ServiceLimits.tokensMax else {
            throw ServiceError(.conflict, "there are \(ServiceLimits.tokensMax) tokens already; revoke those that nobody needs")
        }
        let (token, moment) = (TokenHash.makeToken(), now)
        let record = TokenRecord(
            id: identifiers.next(.token), name: name, hash: TokenHash.of(token), scope: scope, projects: projects.map { $0.sorted() },
            createdBy: creator, createdAt: moment,
            expiresAt: lifetime.map { Timestamp(milliseconds: moment.milliseconds + $0.milliseconds) })
        try await store.write { writer in
            guard try writer.token(name) == nil else {
                throw ServiceError(.conflict, "there is a token '\(name)' already; revoke it first, or choose another name")
            }
            try writer.insert(token: record)
        }
        accessTokens.add(record)
        log.info("token made", metadata: ["id": "\(record.id)", "name": "\(name)", "scope": "\(scope.rawValue)", "by": "\(creator)"])
        return view(of: record, secret: token)
    }

    /// Every token, newest first, without what makes it one.
    public func tokens() async throws -> TokenListView {
        await saveTokenUses()
        return TokenListView(data: try await store.read { try $0.tokens() }.map { view(of: $0) })
    }

    /// Takes a token out of force at once.
    ///
    /// - Parameter reference: its id, or its name.
    public func revokeToken(_ reference: String) async throws -> TokenView {
        await saveTokenUses()
        let moment = now
        let record = try await store.write { writer -> TokenRecord in
            guard var record = try writer.token(reference) else { throw ServiceError.missing("token", reference) }
            if try writer.revoke(token: record.id, at: moment) { record.revokedAt = moment }
            return record
        }
        accessTokens.remove(id: record.id)
        limiter.closeStreams(of: record.id)
        log.info("token revoked", metadata: ["id": "\(record.id)", "name": "\(record.name)"])
        return view(of: record)
    }

    /// Ends the streams of tokens that have expired since, and writes down when tokens were last used.
    func tidyTokens() async {
        for id in accessTokens.expired(at: now) { limiter.closeStreams(of: id) }
        await saveTokenUses()
    }

    /// Writes down when tokens were last used.
    func saveTokenUses() async {
        let uses = accessTokens.takeUnsavedUses()
        guard !uses.isEmpty else { return }
        do {
            try await store.write { writer in for use in uses { try writer.noteUse(ofToken: use.id, at: use.at) } }
        } catch {
            log.error("the last uses of tokens were not written down", metadata: ["error": "\(error)"])
        }
    }

    private func view(of record: TokenRecord, secret: String? = nil) -> TokenView {
        let state =
            record.revokedAt != nil ? "revoked" : record.expiresAt.map { $0 <= now } ?? false ? "expired" : "active"
        return TokenView(
            id: record.id, name: record.name, scope: record.scope.rawValue, projects: record.projects, state: state,
            createdBy: record.createdBy, createdAt: record.createdAt.description, expiresAt: record.expiresAt?.description,
            lastUsedAt: record.lastUsedAt?.description, revokedAt: record.revokedAt?.description, token: secret)
    }
}
