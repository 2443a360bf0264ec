import APITypes
import EventLoop
import HTTPServer
import JSON
import Service

/// The HTTP face of the service: checks who calls, finds the route, runs its handler.
@LoopActor
public final class API: HTTPHandler {
    private let service: AnnealService
    private let admission: RequestGuard
    private let router: Router
    private let views: JobViewCache
    private let frames: FrameCache
    private let dashboard: DashboardFiles

    public init(service: AnnealService, admission: RequestGuard) {
        self.service = service
        self.admission = admission
        router = Router(RouteTable.routes)
        views = JobViewCache(service.hub)
        frames = FrameCache(service: service)
        dashboard = DashboardFiles(folder: service.configuration.dashboardDirectory)
    }

    /// Answers a request: a poll from the cache, any other through its route.
    public func handle(_ exchange: HTTPExchange) {
        let request = exchange.request
        if answerPoll(exchange) { return }
        // As far as it is known, for the answer to a request that is refused.
        var (found, known): ((Route, [String])?, Caller?) = (nil, nil)
        do throws(ServiceError) {
            try admission.checkHost(request)
            try admission.checkOrigin(request)
            let address = admission.address(of: request)
            if let address, !address.isLocal {
                do { try service.limiter.admit(address: address.key) } catch { throw ServiceError(tooMuch: "this address asks", error) }
            }
            let (route, parameters) = try find(request)
            found = (route, parameters)
            let caller = try identify(request, route: route, address)
            known = caller
            if let key = caller.rateKey {
                do { try service.limiter.admit(token: key) } catch { throw ServiceError(tooMuch: "this token asks", error) }
            }
            try caller.check(route)
            try checkPhase(route)
            let call = Call(
                exchange: exchange, route: route, parameters: parameters, caller: caller, service: service, views: views, frames: frames,
                dashboard: dashboard)
            try call.checkQuery()
            try call.takeStreamPlace()
            run(call)
        } catch {
            refuse(exchange, error, found, known)
        }
    }

    /// Answers a plain poll of a job whose view is at hand: what clients send most, and what they may send most often.
    private func answerPoll(_ exchange: HTTPExchange) -> Bool {
        let request = exchange.request
        guard request.method == .get, let view = views.view(at: request.target), service.phase == .ready, admission.admitsPlainly(request)
        else { return false }
        exchange.respond(prepared: view)
        return true
    }

    private func run(_ call: Call) {
        guard call.needsReachCheck else { return start(call) }
        Task { @LoopActor in
            do {
                try await call.checkReach()
            } catch {
                return call.fail(error)
            }
            start(call)
        }
    }

    private func start(_ call: Call) {
        switch call.route.handler {
        case .direct(let body): body(call)
        case .task(let body):
            Task { @LoopActor in
                do {
                    call.answer(try await Idempotency.run(call, body))
                } catch {
                    call.fail(error)
                }
            }
        }
    }

    /// The methods of the routes at a target; `nil` where there is no route.
    public func allowedMethods(at target: String) -> [String]? {
        guard let segments = Self.segments(of: target[...]),
            case .wrongMethod(let allowed) = router.match(method: HTTPMethod(rawValue: ""), segments: segments)
        else { return nil }
        return allowed
    }

    /// The decoded segments of a target's path; `nil` where a percent-encoding is malformed.
    private static func segments(of target: Substring) -> [Substring]? {
        var segments: [Substring] = []
        for raw in target.prefix(while: { $0 != "?" }).split(separator: "/", omittingEmptySubsequences: true) {
            guard let decoded = PercentCoding.decode(ArraySlice(raw.utf8)) else { return nil }
            segments.append(decoded[...])
        }
        return segments
    }

    private func find(_ request: HTTPRequest) throws(ServiceError) -> (Route, [String]) {
        let path = request.rawPath
        guard let segments = Self.segments(of: path[...]) else {
            throw ServiceError(.badRequest, "the path holds a malformed percent-encoding")
        }
        switch router.match(method: request.method, segments: segments) {
        case .route(let route, let parameters): return (route, parameters)
        case .wrongMethod(let allowed):
            throw ServiceError(.methodNotAllowed, allowed.joined(separator: ", "))
        case .unknownPath: throw ServiceError(.notFound, "there is nothing at \(path)")
        }
    }

    private func identify(
        _ request: HTTPRequest, route: Route, _ address: (text: String, key: String, isLocal: Bool)?
    ) throws(ServiceError) -> Caller {
        guard let token = try RequestGuard.token(of: request) else {
            if case .unix(let user) = request.remote { return Caller(.socket(user: user), address: nil) }
            guard admission.requiresToken else { return Caller(.anonymous, address: address?.text) }
            guard route.access == .open else {
                throw ServiceError(.unauthorized, "a token is required: send 'Authorization: Bearer TOKEN'")
            }
            return Caller(.anonymous, scope: .read, reach: .projects([]), address: address?.text)
        }
        let proof = AnnealService.proof(ofToken: token)
        if let address {
            do { try service.limiter.checkGuessing(from: address.key, proof: proof) } catch {
                throw ServiceError(tooMuch: "this address has shown many unknown tokens; it asks", error)
            }
        }
        guard let caller = caller(showing: token, address?.text) else {
            if let address { service.limiter.noteFailure(from: address.key) }
            throw ServiceError(.unauthorized, "the token is not known, has expired or was revoked")
        }
        if let address { service.limiter.noteSuccess(from: address.key, proof: proof) }
        return caller
    }

    private func caller(showing token: String, _ address: String?) -> Caller? {
        if admission.isConfigured(token) { return Caller(.configured, address: address) }
        if let attempt = service.attempt(ofToken: token) { return Caller(attempt, address: address) }
        return service.accessToken(token).map { Caller($0, address: address) }
    }

    private func checkPhase(_ route: Route) throws(ServiceError) {
        guard route.access != .open else { return }
        switch service.phase {
        case .ready: return
        case .reconciling: throw ServiceError(.unavailable, "the daemon is reconciling the attempts that ran before it started")
        case .stopping: throw ServiceError(.unavailable, "the daemon is stopping")
        }
    }

    /// Answers a request that reached no handler.
    private func refuse(_ exchange: HTTPExchange, _ error: ServiceError, _ found: (Route, [String])?, _ caller: Caller?) {
        if let (route, parameters) = found {
            let status = Problem(error).answer(instance: "", requestID: "").status.code
            let unknown = Caller(.anonymous, scope: .read, reach: .projects([]), address: admission.address(of: exchange.request)?.text)
            Auditing.note(exchange.request, route, parameters, caller ?? unknown, status: status, headers: HTTPHeaders(), in: service)
        }
        if exchange.request.rawPath.hasPrefix(MLflowRoutes.base) {
            let answer = MLflowProblem.answer(error)
            return exchange.respond(answer.status, headers: answer.headers, body: answer.body)
        }
        var error = error
        var allowed: String?
        if error.code == .methodNotAllowed {
            allowed = error.detail
            error.detail = "\(exchange.request.method.rawValue) is not among the methods of this path: \(error.detail)"
        }
        var answer = Problem(error).answer(instance: exchange.request.path, requestID: service.identifiers.next(.request))
        // RFC 9110 section 15.5.6: a 405 lists the methods that are allowed.
        if let allowed { answer.headers.set("Allow", allowed) }
        exchange.respond(answer.status, headers: answer.headers, body: answer.body)
    }
}

extension ServiceError {
    /// A request above its caller's rate.
    init(tooMuch who: String, _ excess: CallLimiter.Excess) {
        self.init(.tooMany, "\(who) more often than it may; try again in \(excess.seconds) s")
        retryAfter = excess.seconds
    }
}
