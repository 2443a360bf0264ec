import APITypes
import Domain
import JSON
import Scheduling
import Specification
import Store

// Explanations: why a job waits, or what it died of.
extension AnnealService {
    /// What a job waits for, or what it died of, with the evidence of its attempts.
    public func explain(_ id: String) async throws -> ExplainView {
        let found = try await store.read { reader -> (JobRecord, [JobRecord], [AttemptRecord])? in
            guard let job = try reader.job(id) else { return nil }
            return (job, try reader.needs(job: id).compactMap { try reader.job($0) }, try reader.attempts(job: id))
        }
        guard let (job, needs, attempts) = found else { throw ServiceError.missing("job", id) }
        var waits: [WaitView] = []
        let wait = scheduler.explain(id, now: now)
        switch job.state {
        case .waiting:
            waits = needs.filter { !$0.state.isTerminal }.map { need in
                WaitView(
                    kind: "need", message: "needs '\(need.name)', which is \(need.state.rawValue)", jobID: need.id, name: need.name,
                    state: need.state.rawValue)
            }
            if EveryCheckpoint(spec: job.spec) != nil, let message = job.message {
                waits.append(WaitView(kind: "evaluations", message: message))
            }
            if waits.isEmpty { waits = userWaits(id) }
        case .queued:
            waits = resourceWaits(wait) + serverWaits(id) + clusterWaits(id)
        case .paused:
            waits =
                job.reason == .preempted
                ? resourceWaits(wait) + serverWaits(id)
                : [WaitView(kind: "request", message: "paused; POST /v1/jobs/\(id)/resume lets it go on")]
        default: break
        }
        var view = ExplainView(
            jobID: id, state: job.state.rawValue, reason: job.reason?.rawValue, message: Self.sentence(job, waits), waitsFor: waits,
            evidence: attempts.flatMap { [Self.evidence($0)] + JobRendering.evidence(of: $0) })
        view.expectedAt = wait?.expectedAt?.description ?? waits.first { $0.kind == "cluster" }?.until
        if job.state.holdsResources, let active = jobs[id] { view.message += silence(of: active) }
        return view
    }

    /// The servers that a job waits for.
    private func serverWaits(_ id: String) -> [WaitView] {
        guard let job = jobs[id], job.awaitsServer else { return [] }
        return job.servers.compactMap { servers[$0] }.filter { $0.server?.endpoint == nil }.map { server in
            let name = server.server?.name ?? ""
            return WaitView(
                kind: "server", message: "waits for the server job '\(name)', which \(condition(of: server))", jobID: server.id, name: name)
        }
    }

    /// How far a server that does not answer yet is.
    private func condition(of job: ActiveJob) -> String {
        if let request = job.stopRequest { return "is stopping (\(request.stopping.1))" }
        if let attempt = job.attempt, attempt.clusterWait != nil, attempt.startedAt == nil {
            return "waits in the queue of the cluster '\(job.terms.cluster ?? ClusterTerms.local)'"
        }
        if job.attempt != nil { return "is loading its model" }
        if job.isDispatched { return "is starting" }
        switch job.server?.phase {
        case .paused: return "is paused"
        case .waiting: return "waits for its own needs"
        case .resting where job.server?.yields == true: return "makes room for another server"
        case .queued:
            if job.isHeld { return "is held" }
            return scheduler.explain(job.id, now: now).map { "is queued: \($0.message)" } ?? "is queued"
        default: return "is about to start"
        }
    }

    /// What a server waits for that nobody needs now.
    private func userWaits(_ id: String) -> [WaitView] {
        guard let server = jobs[id]?.server, server.phase == .resting else { return [] }
        return [WaitView(kind: "server", message: Self.restingMessage + "; \(server.users.count) are to come")]
    }

    private func resourceWaits(_ wait: WaitExplanation?) -> [WaitView] {
        guard let wait else { return [] }
        switch wait.cause {
        case .delayed(let until): return [WaitView(kind: "time", message: wait.message, until: until.description)]
        case .held: return [WaitView(kind: "request", message: wait.message)]
        case .concurrency(_, let holders):
            return [Self.wait("concurrency", wait.message, holders: holders.map { HolderView(jobID: $0, amount: 1, gpus: []) })]
        case .quota, .jobQuota: return [WaitView(kind: "quota", message: wait.message)]
        case .preempting(let victims):
            return [Self.wait("preemption", wait.message, holders: victims.map { HolderView(jobID: $0, amount: 1, gpus: []) })]
        case .resources(let shortfalls), .behind(_, let shortfalls), .cannotFit(let shortfalls):
            if shortfalls.isEmpty { return [WaitView(kind: "resources", message: wait.message)] }
            return shortfalls.map { shortfall in
                var view = WaitView(
                    kind: "resources", message: wait.message, jobID: shortfall.holders.first?.job,
                    resource: shortfall.name ?? shortfall.resource.rawValue, wanted: shortfall.asked, free: shortfall.free)
                view.holders = shortfall.holders.map {
                    HolderView(jobID: $0.job, amount: $0.amount, gpus: $0.gpus, endsBy: $0.endsBy?.description)
                }
                return view
            }
        case .ready: return []
        }
    }

    private static func wait(_ kind: String, _ message: String, holders: [HolderView]) -> WaitView {
        var view = WaitView(kind: kind, message: message, jobID: holders.first?.jobID)
        view.holders = holders
        return view
    }

    private static func sentence(_ job: JobRecord, _ waits: [WaitView]) -> String {
        switch job.state {
        case .waiting, .queued, .paused:
            waits.isEmpty ? "it will be looked at next" : "it waits: " + Self.unique(waits.map(\.message)).joined(separator: "; ")
        case .starting, .running, .stopping:
            "it is \(job.state.rawValue)" + (job.message.map { ": \($0)" } ?? "")
        case .succeeded: job.message.map { "it succeeded: \($0)" } ?? "it succeeded"
        case .failed, .cancelled, .skipped, .lost:
            "it is \(job.state.rawValue) (\(job.reason?.rawValue ?? "unknown"))" + (job.message.map { ": \($0)" } ?? "")
        }
    }

    private static func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    private static func evidence(_ attempt: AttemptRecord) -> EvidenceView {
        var data: JSONObject = ["state": .string(attempt.state.rawValue), "folder": .string(attempt.directory)]
        if let code = attempt.exitCode { data["exit_code"] = .int(Int64(code)) }
        if let signal = attempt.signal { data["signal"] = .int(Int64(signal)) }
        if let usage = attempt.resourceUsage { data["usage"] = usage }
        let outcome = attempt.message.flatMap { $0.isEmpty ? nil : $0 } ?? attempt.state.rawValue
        let words = unique(["attempt \(attempt.number)", attempt.cause?.rawValue ?? attempt.state.rawValue, outcome])
        return EvidenceView(kind: "attempt", message: words.joined(separator: ": "), attemptID: attempt.id, data: .object(data))
    }
}
