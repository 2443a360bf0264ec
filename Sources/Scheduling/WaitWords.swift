import Domain

// The words of an explanation.
extension SchedulerState {
    func message(_ cause: WaitExplanation.Cause) -> String {
        switch cause {
        case .ready: "it starts with the next decision"
        case .held: "it is held until somebody releases it"
        case .delayed(let moment): "it waits for the end of its retry delay at \(moment)"
        case .resources(let shortfalls):
            shortfalls.isEmpty
                ? "what it asks for is free, but not together" : "it waits for " + shortfalls.map(text).joined(separator: "; ")
        case .behind(let job, let shortfalls):
            "it waits behind \(job), for which the free resources are set aside: " + shortfalls.map(text).joined(separator: "; ")
        case .cannotFit(let shortfalls):
            "this machine cannot run it as it is now: "
                + shortfalls.map { "it asks for \(amount($0.asked, $0)), and \(amount($0.usable, $0)) can be given out" }
                .joined(separator: "; ") + unhealthyText
        case .concurrency(let group, let holders):
            "its concurrency group '\(group.name)' lets \(group.limit) run at a time: \(holders.joined(separator: ", "))"
        case .quota(let limit, let inUse): "its project may hold \(limit) GPUs at a time, and holds \(Self.number(inUse))"
        case .jobQuota(let limit): "its project may run \(limit) job\(limit == 1 ? "" : "s") at a time, and does"
        case .preempting(let victims):
            "\(victims.joined(separator: ", ")) \(victims.count == 1 ? "saves its work and makes" : "save their work and make") room for it"
        }
    }

    private static func number(_ value: Double) -> String { value == value.rounded() ? String(Int(value)) : String(value) }

    private var unhealthyText: String {
        let listed = capacity.gpus.compactMap { uuid in unhealthyGPUs[uuid].map { "\(uuid): \($0)" } }
        return listed.isEmpty ? "" : " (out of use: \(listed.joined(separator: ", ")))"
    }

    private func text(_ shortfall: WaitExplanation.Shortfall) -> String {
        let names = shortfall.holders.prefix(5).map { "\($0.job) holds \(amount($0.amount, shortfall))" }
        let more = shortfall.holders.count > 5 ? ["\(shortfall.holders.count - 5) more hold the rest"] : []
        let held = names.isEmpty ? "" : "; " + (names + more).joined(separator: ", ")
        return
            "\(amount(shortfall.asked, shortfall)): \(amount(shortfall.free, shortfall)) free of \(amount(shortfall.usable, shortfall))\(held)"
    }

    private func amount(_ amount: Int64, _ shortfall: WaitExplanation.Shortfall) -> String {
        switch shortfall.resource {
        case .gpus: "\(amount) GPU\(amount == 1 ? "" : "s")"
        case .cpus: "\(amount) CPU\(amount == 1 ? "" : "s")"
        case .counter: "\(amount) of '\(shortfall.name ?? "")'"
        case .memory:
            amount >= 1 << 30 && amount % (1 << 30) == 0
                ? "\(amount >> 30) GiB" : amount >= 1 << 20 ? "\(amount >> 20) MiB" : "\(amount) bytes"
        }
    }
}
