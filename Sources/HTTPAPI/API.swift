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
        do throws(ServiceError) {
            try admission.checkHost(request)
            try admission.checkOrigin(request)
            let (route, parameters) = try find(request)
            let caller = try identify(request, route: route)
            try checkPhase(route)
            let call = Call(
                exchange: exchange, route: route, parameters: parameters, caller: caller, service: service, views: views, frames: frames,
                dashboard: dashboard)
            try call.checkQuery()
            run(call)
        } catch {
            refuse(exchange, error)
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
        let target = request.target
        guard let segments = Self.segments(of: target[...]) else {
            throw ServiceError(.badRequest, "the path holds a malformed percent-encoding")
        }
        switch router.match(method: request.method, segments: segments) {
        case .route(let route, let parameters): return (route, parameters)
        case .wrongMethod(let allowed):
            throw ServiceError(.methodNotAllowed, allowed.joined(separator: ", "))
        case .unknownPath: throw ServiceError(.notFound, "there is nothing at \(target.prefix { $0 != "?" })")
        }
    }

    private func identify(_ request: HTTPRequest, route: Route) throws(ServiceError) -> Caller {
        if let token = try RequestGuard.bearerToken(request) ?? request.headers["x-trackio-write-token"] {
            if admission.isUserToken(token) { return .user }
            if let attemptID = service.attemptID(ofToken: token) {
                guard route.access != .write else {
                    throw ServiceError(.forbidden, "an attempt's token may only read, and log for its own job")
                }
                return .attempt(attemptID)
            }
            throw ServiceError(.unauthorized, "the token is not known or no longer valid")
        }
        if admission.requiresToken, !request.isOverUnixSocket, route.access != .open {
            throw ServiceError(.unauthorized, "a token is required: send 'Authorization: Bearer TOKEN'")
        }
        return .anonymous
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
    private func refuse(_ exchange: HTTPExchange, _ error: ServiceError) {
        if exchange.request.target.hasPrefix(MLflowRoutes.base) {
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
