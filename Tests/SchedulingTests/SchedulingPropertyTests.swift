import Domain
import Testing

@testable import Scheduling

/// Random workloads on a random machine; what must always hold is checked after every step.
@Suite struct SchedulingPropertyTests {
    @Test(arguments: 1...60)
    func randomWorkloadsKeepTheRules(seed: Int) {
        var workload = Workload(seed: UInt64(seed))
        workload.run(steps: 200)
        // `seed` is part of the test's arguments, so that every failure prints it.
        #expect(workload.violations == [], "seed \(seed)")
    }

    @Test(arguments: 1...10)
    func theSameWorkloadIsDecidedTheSame(seed: Int) {
        var first = Workload(seed: UInt64(seed))
        var second = Workload(seed: UInt64(seed))
        first.run(steps: 150)
        second.run(steps: 150)
        #expect(first.history == second.history, "seed \(seed)")
        #expect(!first.history.isEmpty)
    }

    @Test(arguments: 1...30)
    func everyJobThatFitsStartsInTheEndHoweverManySmallOnesKeepComing(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let capacity = HostCapacity(gpus: (0..<8).map { "GPU-\($0)" }, cpus: 32, memoryBytes: 1000)
        var state = SchedulerState(capacity: capacity)
        var ends: [(job: String, at: Int64)] = []
        func enqueue(_ id: String, _ request: ResourceRequest, _ time: Int64, priority: Int = 50) {
            state.enqueue(QueuedJob(id: id, priority: priority, enqueuedAt: Timestamp(milliseconds: time), request: request))
        }
        var startedBig: Int64?
        // The time runs in hours, so that ageing counts: the small ones are of higher priority and never stop coming.
        for hour in Int64(0)..<400 {
            let time = hour * 3_600_000
            for end in ends where end.at <= time { state.release(end.job, at: Timestamp(milliseconds: time)) }
            ends.removeAll { $0.at <= time }
            for index in 0..<3 {
                enqueue("small-\(hour)-\(index)", ResourceRequest(gpus: Int.random(in: 1...3, using: &random)), time, priority: 70)
            }
            if hour == 20 { enqueue("big", ResourceRequest(gpus: 8, cpus: 32, memoryBytes: 1000), time) }
            for case .start(let job, _) in state.decide(now: Timestamp(milliseconds: time)) {
                if job == "big" { startedBig = hour }
                ends.append((job, time + Int64.random(in: 1...20, using: &random) * 3_600_000))
            }
        }
        #expect(startedBig != nil, "seed \(seed)")
    }

    /// The time by which the first job of the queue can start, as it was promised when it was first blocked, is kept whatever is let past it.
    @Test(arguments: 1...60)
    func backfillNeverDelaysTheHeadOfTheQueue(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var policy = SchedulingPolicy.standard
        policy.ageingInterval = nil
        policy.fairShareWeight = 0
        policy.isPreemptionOn = false
        let capacity = HostCapacity(gpus: (0..<8).map { "GPU-\($0)" }, cpus: 24, memoryBytes: 1000)
        var state = SchedulerState(capacity: capacity, policy: policy)
        var ends: [(job: String, at: Int64)] = []
        var promises: [String: Int64] = [:]
        for time in Int64(0)..<600 {
            let now = Timestamp(milliseconds: time * 1000)
            for end in ends where end.at <= time { state.release(end.job, at: now) }
            ends.removeAll { $0.at <= time }
            if Int.random(in: 0..<3, using: &random) > 0 {
                var job = QueuedJob(
                    id: "j\(time)", priority: 50, enqueuedAt: now,
                    request: ResourceRequest(gpus: Int.random(in: 0...8, using: &random), cpus: Int.random(in: 1...12, using: &random)))
                job.timeLimit = .seconds(Int.random(in: 1...60, using: &random))
                state.enqueue(job)
            }
            for case .start(let id, _) in state.decide(now: now) {
                if let promise = promises.removeValue(forKey: id) {
                    #expect(time <= promise, "seed \(seed): \(id) was promised \(promise) and starts at \(time)")
                }
                let limit = state.running[id]?.endsBy.map { $0.milliseconds / 1000 } ?? time
                // A job may end before its limit, never after.
                ends.append((id, Int64.random(in: time + 1...max(time + 1, limit), using: &random)))
            }
            var pass = SchedulingPass(state, now: now)
            for job in state.queuedJobs(now: now) {
                guard case .blocked = pass.visit(job) else { continue }
                pass.reserve(for: job)
                if let startsBy = pass.reservation?.startsBy, promises[job.id] == nil { promises[job.id] = startsBy.milliseconds / 1000 }
                break
            }
        }
        #expect(state.running.count + state.queuedCount > 0)
    }
}

/// A seeded run of arrivals, ends, failures of GPUs, changes of priority and preemptions.
private struct Workload {
    private var random: SplitMix64
    private let capacity: HostCapacity
    private var state: SchedulerState
    private var jobs: [String: QueuedJob] = [:]
    private var running: Set<String> = []
    private var nextID = 0
    private var clock: Int64 = 0
    private(set) var history: [Decision] = []
    private(set) var violations: [String] = []

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        let gpus = Int.random(in: 0...16, using: &random)
        let slots = (0..<gpus).map { index in
            var slot = GPUSlot(
                uuid: "GPU-\(index)", model: index % 3 == 0 ? "NVIDIA H200" : "NVIDIA H100", memoryBytes: index % 3 == 0 ? 140 : 80)
            slot.nvlinkIsland = index / 4
            slot.numaNode = index / 8
            return slot
        }
        capacity = HostCapacity(
            slots: slots, cpus: Int.random(in: 1...64, using: &random), memoryBytes: Int64.random(in: 0...1000, using: &random),
            counters: ["licences": 3])
        state = SchedulerState(capacity: capacity)
        state.setProject("b", ProjectTerms(weight: 2, gpuLimit: 3))
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            clock += Int64.random(in: 0...50_000, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<6: arrive()
            case 6..<9: end()
            case 9: changeHealth()
            case 10: hold()
            default:
                if let id = jobs.keys.sorted().randomElement(using: &random) {
                    state.reprioritise(id, to: Int.random(in: 0...100, using: &random))
                }
            }
            decide()
        }
        drain()
    }

    private mutating func request() -> ResourceRequest {
        var request = ResourceRequest(
            cpus: Int.random(in: 1...max(1, capacity.cpus), using: &random),
            memoryBytes: Bool.random(using: &random) ? Int64.random(in: 0...max(1, capacity.memoryBytes), using: &random) : 0)
        switch Int.random(in: 0..<5, using: &random) {
        case 0:
            request.gpus = Int.random(in: 0...max(1, capacity.slots.count), using: &random)
            request.gpusMax = request.gpus
        case 1:
            request.gpus = Int.random(in: 1...2, using: &random)
            request.gpusMax = request.gpus + Int.random(in: 0...4, using: &random)
        case 2: request.gpuShare = Int.random(in: 1...999, using: &random)
        case 3: request.counters["licences"] = Int.random(in: 0...3, using: &random)
        default: break
        }
        if Int.random(in: 0..<4, using: &random) == 0 { request.gpuModel = "h200" }
        return request
    }

    private mutating func arrive() {
        nextID += 1
        let id = "job-\(nextID)"
        var request = request()
        if Int.random(in: 0..<5, using: &random) == 0 { request.alternatives = [self.request()] }
        let isDelayed = Int.random(in: 0..<5, using: &random) == 0
        let delay = isDelayed ? Timestamp(milliseconds: clock + Int64.random(in: 0...200_000, using: &random)) : nil
        var job = QueuedJob(
            id: id, priority: [10, 50, 50, 90].randomElement(using: &random) ?? 50, enqueuedAt: Timestamp(milliseconds: clock),
            request: request, notBefore: delay)
        job.project = ["a", "b"].randomElement(using: &random) ?? "a"
        job.isPreemptible = Bool.random(using: &random)
        job.timeLimit = Bool.random(using: &random) ? .seconds(Int.random(in: 10...500, using: &random)) : nil
        if Int.random(in: 0..<6, using: &random) == 0 { job.concurrency = ConcurrencyGroup(name: "g", limit: 2) }
        jobs[id] = job
        state.enqueue(job)
    }

    private mutating func end() {
        guard let id = running.sorted().randomElement(using: &random) else { return }
        running.remove(id)
        state.release(id, at: Timestamp(milliseconds: clock))
    }

    private mutating func hold() {
        guard let id = jobs.keys.sorted().randomElement(using: &random) else { return }
        state.setHeld(id, Bool.random(using: &random))
    }

    private mutating func changeHealth() {
        guard let gpu = capacity.gpus.randomElement(using: &random) else { return }
        state.setHealth(ofGPU: gpu, unhealthy: state.unhealthyGPUs[gpu] == nil ? "broken" : nil)
    }

    private mutating func decide() {
        let before = state
        let now = Timestamp(milliseconds: clock)
        let decisions = state.decide(now: now)
        history.append(contentsOf: decisions)
        for decision in decisions {
            switch decision {
            case .start(let id, let allocation): check(id, allocation, before)
            case .preempt(let victim, let winner):
                guard let run = before.running[victim], let job = before.queuedJob(winner) else {
                    violations.append("\(victim) or \(winner) is unknown"); continue
                }
                if !run.isPreemptible || run.priority >= job.priority { violations.append("\(victim) was preempted for \(winner)") }
            }
        }
        checkLedger()
        // Victims end at once here.
        for case .preempt(let victim, _) in decisions {
            running.remove(victim)
            state.release(victim, at: now)
            jobs[victim].map { _ = state.enqueue($0) }
        }
    }

    private mutating func check(_ id: String, _ allocation: Allocation, _ before: SchedulerState) {
        running.insert(id)
        guard let job = before.queuedJob(id) else {
            violations.append("\(id) was started and had not waited"); return
        }
        let fits = job.request.choices.contains { request in
            allocation.cpus == request.cpus && allocation.memoryBytes == request.memoryBytes && allocation.counters == request.counters
                && (request.gpuShare > 0
                    ? allocation.gpuShare == request.gpuShare && allocation.gpus.count == 1
                    : allocation.gpuShare == 0 && (request.gpus...max(request.gpus, request.gpusMax)).contains(allocation.gpus.count))
                && allocation.gpus.allSatisfy { uuid in capacity.slots.first { $0.uuid == uuid }?.satisfies(request) == true }
        }
        if !fits { violations.append("\(id) got \(allocation), which none of its choices asks for") }
        if allocation.gpus.contains(where: { before.unhealthyGPUs[$0] != nil }) { violations.append("\(id) got a broken GPU") }
        if let wait = job.notBefore, wait.milliseconds > clock { violations.append("\(id) started before its time") }
        if job.isHeld { violations.append("\(id) started though it is held") }
    }

    private mutating func checkLedger() {
        let runs = state.running.values
        var used: [String: Int] = [:]
        for run in runs {
            for gpu in run.allocation.gpus { used[gpu, default: 0] += run.allocation.gpuShare > 0 ? run.allocation.gpuShare : 1000 }
        }
        if used.values.contains(where: { $0 > 1000 }) { violations.append("a GPU was given out twice") }
        if runs.reduce(0, { $0 + $1.allocation.cpus }) > capacity.cpus { violations.append("more CPUs were given out than there are") }
        if runs.reduce(0, { $0 + $1.allocation.memoryBytes }) > capacity.memoryBytes { violations.append("too much memory was given out") }
        if runs.reduce(0, { $0 + $1.allocation.counters["licences", default: 0] }) > 3 {
            violations.append("too many licences were given out")
        }
        let quota = runs.filter { $0.project == "b" }.reduce(0) { $0 + $1.allocation.gpuCount }
        if quota > 3.0001 { violations.append("project b holds \(quota) GPUs") }
        for project in ["a", "b"] where runs.count(where: { $0.project == project && $0.concurrency != nil }) > 2 {
            violations.append("too many of the group run")
        }
        if Set(state.running.keys) != running { violations.append("the ledger and the running jobs differ") }
        if running.contains(where: { state.queuedJob($0) != nil }) { violations.append("a running job still waits") }
    }

    /// Once everything is mended, every delay is over and nobody holds anything back, each job runs.
    private mutating func drain() {
        for gpu in capacity.gpus { state.setHealth(ofGPU: gpu, unhealthy: nil) }
        for id in jobs.keys.sorted() { state.setHeld(id, false) }
        clock += 1_000_000
        for _ in 0...(2 * nextID) {
            decide()
            for id in running.sorted() { state.release(id, at: Timestamp(milliseconds: clock)) }
            running = []
        }
        let stuck = state.queuedJobs(now: Timestamp(milliseconds: clock)).filter { job in
            let quota = job.project == "b" ? 3.0 : .infinity
            return job.request.choices.contains { request in
                var alone = request
                alone.alternatives = []
                return capacity.shortfalls(of: alone).isEmpty && max(Double(request.gpus), Double(request.gpuShare) / 1000) <= quota
            }
        }
        if !stuck.isEmpty { violations.append("never started: \(stuck.map(\.id))") }
    }
}
