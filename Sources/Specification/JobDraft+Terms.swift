import Domain
import JSON

// What a job asks of the machine and of the queue.
extension JobDraft {
    var resources: ResourceRequest {
        guard let asked = body["resources"]?.object else { return ResourceRequest() }
        let outer = Self.request(asked, fallback: ResourceRequest())
        guard let choices = asked["any_of"]?.array?.compactMap(\.object), !choices.isEmpty else { return outer }
        let requests = choices.map { Self.request($0, fallback: outer) }
        var first = requests[0]
        first.alternatives = Array(requests.dropFirst())
        return first
    }

    private static func request(_ asked: JSONObject, fallback: ResourceRequest) -> ResourceRequest {
        var request = fallback
        if let count = asked["gpus"].flatMap(GPUCount.init) {
            (request.gpus, request.gpusMax, request.gpuShare) = (count.least, count.most, count.share)
        }
        request.gpuMemoryBytes = asked["gpu_memory"].flatMap(Quantity.bytes) ?? fallback.gpuMemoryBytes
        request.gpuModel = asked["model"]?.string ?? fallback.gpuModel
        request.cpus = asked["cpus"]?.int ?? fallback.cpus
        request.memoryBytes = asked["memory"].flatMap(Quantity.bytes) ?? fallback.memoryBytes
        request.nodes = asked["nodes"]?.int ?? fallback.nodes
        request.isExclusive = asked["exclusive"]?.bool ?? fallback.isExclusive
        for (name, units) in asked["counters"]?.object ?? [:] { request.counters[name] = units.int }
        for (name, units) in asked where !ParameterSchema.resources.contains(where: { $0.name == name }) {
            request.counters[name] = units.int
        }
        return request
    }

    var terms: SchedulingTerms {
        var terms = SchedulingTerms(isPreemptible: body["preemptible"]?.bool ?? false, isHeld: body["hold"]?.bool ?? false)
        switch body["concurrency"] {
        case .string(let group)?: terms.concurrency = ConcurrencyGroup(name: group)
        case .object(let members)?:
            terms.concurrency = ConcurrencyGroup(
                name: members["group"]?.string ?? "", limit: members["limit"]?.int ?? 1,
                cancelsInProgress: members["cancel_in_progress"]?.bool ?? false)
        default: break
        }
        terms.cluster = cluster
        terms.stall = stall
        terms.alerts = (body["alerts"]?.array ?? []).compactMap { alert in
            AlertRule(
                alert["when"]?.string ?? "", action: alert["do"]?.string.flatMap(AlertRule.Action.init) ?? .notify,
                level: alert["level"]?.string ?? "warn")
        }
        terms.nonFiniteSteps =
            switch body["nan_steps"] {
            case .bool(false)?: nil
            case let value?: value.int ?? 5
            case nil: kind == .train ? 5 : nil
            }
        return terms
    }

    private var stall: StallPolicy? {
        switch body["stall"] {
        case .bool(let isOn)?: isOn ? StallPolicy() : nil
        case .object(let members)?:
            StallPolicy(
                least: members["least"].flatMap(Quantity.duration) ?? StallPolicy().least,
                most: members["most"].flatMap(Quantity.duration) ?? StallPolicy().most)
        case let value?: Quantity.duration(value).map { StallPolicy(least: min($0, StallPolicy().least), most: $0) }
        case nil: kind == .train ? StallPolicy() : nil
        }
    }

    var retry: RetryPolicy {
        var policy = RetryPolicy()
        switch body["retry"] {
        case .object(let members)?:
            policy.limit = members["limit"]?.int
            policy.delay = members["delay"].flatMap(Quantity.duration) ?? policy.delay
            policy.backoff = members["backoff"]?.double ?? policy.backoff
            policy.onOutOfMemory = members["on_oom"]?.string.flatMap(RetryPolicy.OutOfMemoryAction.init) ?? .fail
            for (cause, rule) in members["on"]?.object ?? [:] {
                policy.rules[Reason(rawValue: cause)] = RetryPolicy.Rule(
                    limit: rule.int ?? rule["limit"]?.int ?? 0, delay: rule["delay"].flatMap(Quantity.duration))
            }
        case let value?: policy.limit = value.int
        case nil: break
        }
        return policy
    }
}
