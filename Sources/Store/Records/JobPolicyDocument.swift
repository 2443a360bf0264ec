import Domain
import JSON

/// What of a job's resources, terms and retry policy has no column of its own, as the JSON text of the column `policy`.
enum JobPolicyDocument {
    static func make(resources: ResourceRequest, terms: SchedulingTerms, retry: RetryPolicy) -> JSONValue {
        var members: JSONObject = ["resources": document(of: resources)]
        if terms.isPreemptible { members["preemptible"] = true }
        if let group = terms.concurrency {
            members["concurrency"] = [
                "group": .string(group.name), "limit": .int(Int64(group.limit)), "cancel_in_progress": .bool(group.cancelsInProgress),
            ]
        }
        if terms.isHeld { members["hold"] = true }
        if let cluster = terms.cluster { members["cluster"] = .string(cluster) }
        if let stall = terms.stall {
            members["stall"] = ["least_ms": .int(stall.least.milliseconds), "most_ms": .int(stall.most.milliseconds)]
        }
        if let steps = terms.nonFiniteSteps { members["nan_steps"] = .int(Int64(steps)) }
        if !terms.alerts.isEmpty {
            members["alerts"] = .array(
                terms.alerts.map { ["when": .string($0.text), "do": .string($0.action.rawValue), "level": .string($0.level)] })
        }
        var policy: JSONObject = ["on_oom": .string(retry.onOutOfMemory.rawValue)]
        if let limit = retry.limit { policy["limit"] = .int(Int64(limit)) }
        let rules = retry.rules.sorted { $0.key.rawValue < $1.key.rawValue }.map { cause, rule in
            (
                cause.rawValue,
                ["limit": .int(Int64(rule.limit)), "delay_ms": rule.delay.map { .int($0.milliseconds) } ?? .null] as JSONValue
            )
        }
        if !rules.isEmpty { policy["on"] = .object(JSONObject(rules, uniquingKeysWith: { first, _ in first })) }
        members["retry"] = .object(policy)
        return .object(members)
    }

    /// Fills in what a row of before this column lacks: nothing.
    static func apply(_ document: JSONValue?, to job: inout JobRecord) throws {
        guard let document else { return }
        if let resources = document["resources"] {
            job.resources = request(resources, cpus: job.resources.cpus, memoryBytes: job.resources.memoryBytes)
        }
        job.terms.isPreemptible = document["preemptible"]?.bool ?? false
        job.terms.isHeld = document["hold"]?.bool ?? false
        job.terms.cluster = document["cluster"]?.string
        if let group = document["concurrency"], let name = group["group"]?.string {
            job.terms.concurrency = ConcurrencyGroup(
                name: name, limit: group["limit"]?.int ?? 1, cancelsInProgress: group["cancel_in_progress"]?.bool ?? false)
        }
        if let stall = document["stall"], let least = stall["least_ms"]?.int, let most = stall["most_ms"]?.int {
            job.terms.stall = StallPolicy(least: .milliseconds(least), most: .milliseconds(most))
        }
        job.terms.nonFiniteSteps = document["nan_steps"]?.int
        job.terms.alerts = (document["alerts"]?.array ?? []).compactMap { alert in
            AlertRule(
                alert["when"]?.string ?? "", action: alert["do"]?.string.flatMap(AlertRule.Action.init) ?? .notify,
                level: alert["level"]?.string ?? "warn")
        }
        guard let retry = document["retry"] else { return }
        job.retry.limit = retry["limit"]?.int
        job.retry.onOutOfMemory = retry["on_oom"]?.string.flatMap(RetryPolicy.OutOfMemoryAction.init(rawValue:)) ?? .fail
        for (cause, rule) in retry["on"]?.object ?? [:] {
            job.retry.rules[Reason(rawValue: cause)] = RetryPolicy.Rule(
                limit: rule["limit"]?.int ?? 0, delay: rule["delay_ms"]?.int.map { .milliseconds($0) })
        }
    }

    private static func document(of request: ResourceRequest) -> JSONValue {
        var members: JSONObject = [
            "gpus": .int(Int64(request.gpus)), "gpus_max": .int(Int64(request.gpusMax)), "gpu_share": .int(Int64(request.gpuShare)),
            "gpu_memory": .int(request.gpuMemoryBytes), "cpus": .int(Int64(request.cpus)), "memory": .int(request.memoryBytes),
        ]
        if request.nodes > 1 { members["nodes"] = .int(Int64(request.nodes)) }
        if request.isExclusive { members["exclusive"] = true }
        if let model = request.gpuModel { members["model"] = .string(model) }
        if !request.counters.isEmpty { members["counters"] = JSONValue(counts: request.counters) }
        if !request.alternatives.isEmpty { members["any_of"] = .array(request.alternatives.map(document)) }
        return .object(members)
    }

    private static func request(_ document: JSONValue, cpus: Int, memoryBytes: Int64) -> ResourceRequest {
        var request = ResourceRequest(
            gpus: document["gpus"]?.int ?? 0, cpus: document["cpus"]?.int ?? cpus,
            memoryBytes: document["memory"]?.int.map(Int64.init) ?? memoryBytes)
        request.gpusMax = document["gpus_max"]?.int ?? request.gpus
        request.gpuShare = document["gpu_share"]?.int ?? 0
        request.gpuMemoryBytes = Int64(document["gpu_memory"]?.int ?? 0)
        request.gpuModel = document["model"]?.string
        request.counters = document["counters"]?.object?.reduce(into: [:]) { $0[$1.key] = $1.value.int } ?? [:]
        request.nodes = document["nodes"]?.int ?? 1
        request.isExclusive = document["exclusive"]?.bool ?? false
        request.alternatives = (document["any_of"]?.array ?? []).map { self.request($0, cpus: cpus, memoryBytes: memoryBytes) }
        return request
    }
}

extension JSONValue {
    /// Counts by name, in the order of the names.
    init(counts: [String: Int]) {
        self = .object(
            JSONObject(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) }, uniquingKeysWith: { first, _ in first }))
    }
}
