import Domain
import Testing

@testable import Scheduling

/// Random workloads on a random machine; what must always hold is checked after every step.
@Suite struct SchedulingPropertyTests {
    @Test(arguments: 1...40)
    func randomWorkloadsKeepTheRules(seed: Int) {
        var workload = Workload(seed: UInt64(seed))
        workload.run(steps: 250)
        // `seed` is part of the test's arguments, so that every failure prints it.
        #expect(workload.violations == [], "seed \(seed)")
    }

    @Test(arguments: 1...10)
    func theSameWorkloadIsDecidedTheSame(seed: Int) {
        var first = Workload(seed: UInt64(seed))
        var second = Workload(seed: UInt64(seed))
        first.run(steps: 200)
        second.run(steps: 200)
        #expect(first.history == second.history, "seed \(seed)")
        #expect(!first.history.isEmpty)
    }

    @Test(arguments: 1...30)
    func everyJobThatFitsStartsInTheEndHoweverManySmallOnesKeepComing(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let capacity = HostCapacity(gpus: (0..<8).map { "GPU-\($0)" }, cpus: 32, memoryBytes: 1000)
        var state = SchedulerState(capacity: capacity)
        var ends: [(job: String, at: Int64)] = []
        func enqueue(_ id: String, _ request: ResourceRequest, _ time: Int64) {
            state.enqueue(QueuedJob(id: id, priority: 50, enqueuedAt: Timestamp(milliseconds: time), request: request))
        }
        var startedBig: Int64?
        for time in Int64(0)..<400 {
            for end in ends where end.at <= time { state.release(end.job) }
            ends.removeAll { $0.at <= time }
            // More small jobs come than the machine can run.
            for index in 0..<3 { enqueue("small-\(time)-\(index)", ResourceRequest(gpus: Int.random(in: 1...3, using: &random)), time) }
            if time == 20 { enqueue("big", ResourceRequest(gpus: 8, cpus: 32, memoryBytes: 1000), time) }
            for case .start(let job, _) in state.decide(now: Timestamp(milliseconds: time)) {
                if job == "big" { startedBig = time }
                ends.append((job, time + Int64.random(in: 1...20, using: &random)))
            }
        }
        #expect(startedBig != nil, "seed \(seed)")
    }
}

/// A seeded run of arrivals, ends, failures of GPUs and changes of priority.
private struct Workload {
    private var random: SplitMix64
    private let capacity: HostCapacity
    private var state: SchedulerState
    private var requests: [String: ResourceRequest] = [:]
    private var running: [String] = []
    private var nextID = 0
    private var clock: Int64 = 0
    private(set) var history: [Decision] = []
    private(set) var violations: [String] = []

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        let gpus = Int.random(in: 0...16, using: &random)
        capacity = HostCapacity(
            gpus: (0..<gpus).map { "GPU-\($0)" }, cpus: Int.random(in: 1...64, using: &random),
            memoryBytes: Int64.random(in: 0...1000, using: &random))
        state = SchedulerState(capacity: capacity)
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            clock += Int64.random(in: 0...50, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: arrive()
            case 5..<8: end()
            case 8: changeHealth()
            default:
                if let job = state.queuedJobs.randomElement(using: &random) {
                    state.reprioritise(job.id, to: Int.random(in: 0...100, using: &random))
                }
            }
            decide()
        }
        drain()
    }

    private mutating func arrive() {
        nextID += 1
        let id = "job-\(nextID)"
        let request = ResourceRequest(
            gpus: Bool.random(using: &random) ? Int.random(in: 0...max(1, capacity.gpus.count), using: &random) : 0,
            cpus: Int.random(in: 1...max(1, capacity.cpus), using: &random),
            memoryBytes: Bool.random(using: &random) ? Int64.random(in: 0...max(1, capacity.memoryBytes), using: &random) : 0)
        requests[id] = request
        let delay =
            Int.random(in: 0..<5, using: &random) == 0 ? Timestamp(milliseconds: clock + Int64.random(in: 0...200, using: &random)) : nil
        state.enqueue(
            QueuedJob(
                id: id, priority: [10, 50, 50, 90].randomElement(using: &random) ?? 50, enqueuedAt: Timestamp(milliseconds: clock),
                request: request, notBefore: delay))
    }

    private mutating func end() {
        guard let index = running.indices.randomElement(using: &random) else { return }
        state.release(running.remove(at: index))
    }

    private mutating func changeHealth() {
        guard let gpu = capacity.gpus.randomElement(using: &random) else { return }
        state.setHealth(ofGPU: gpu, unhealthy: state.unhealthyGPUs[gpu] == nil ? "broken" : nil)
    }

    private mutating func decide() {
        let before = state
        let decisions = state.decide(now: Timestamp(milliseconds: clock))
        history.append(contentsOf: decisions)
        var started: [QueuedJob] = []
        for case .start(let id, let gpus) in decisions {
            running.append(id)
            guard let job = before.queuedJob(id), let request = requests[id] else {
                violations.append("\(id) was started and had not waited"); continue
            }
            started.append(job)
            if gpus.count != request.gpus { violations.append("\(id) asked for \(request.gpus) GPUs and got \(gpus.count)") }
            if gpus.contains(where: { before.unhealthyGPUs[$0] != nil }) { violations.append("\(id) got a broken GPU") }
            if let wait = job.notBefore, wait.milliseconds > clock { violations.append("\(id) started before its time") }
            if before.explain(id, now: Timestamp(milliseconds: clock))?.cause != .ready {
                violations.append("\(id) started, and was not said to be ready")
            }
        }
        checkLedger()
        checkOrder(before, started)
        checkThatNothingMoreFits()
    }

    private mutating func checkLedger() {
        let gpus = state.allocations.values.flatMap(\.gpus)
        if Set(gpus).count != gpus.count { violations.append("a GPU was given out twice") }
        if state.allocations.values.reduce(0, { $0 + $1.cpus }) > capacity.cpus {
            violations.append("more CPUs were given out than there are")
        }
        if state.allocations.values.reduce(0, { $0 + $1.memoryBytes }) > capacity.memoryBytes {
            violations.append("more memory was given out than there is")
        }
        if Set(state.allocations.keys) != Set(running) { violations.append("the ledger and the running jobs differ") }
        if state.queuedJobs.contains(where: { running.contains($0.id) }) { violations.append("a running job still waits") }
    }

    /// A job starts past the first blocked one only with what that one does not ask for.
    private mutating func checkOrder(_ before: SchedulerState, _ started: [QueuedJob]) {
        let now = Timestamp(milliseconds: clock)
        var free = before.free
        let usable = before.usableGPUs.count
        var blocked: QueuedJob?
        for job in before.queuedJobs where !job.isDelayed(at: now) {
            let starts = started.contains(job)
            if let blocked, starts {
                var left = free
                left.reserve(blocked.request)
                if !left.fits(job.request) { violations.append("\(job.id) took what \(blocked.id) waits for") }
            }
            if starts {
                _ = free.take(job.request)
            } else if blocked == nil {
                if free.fits(job.request) { violations.append("\(job.id) fits, stands first and did not start") }
                if job.request.gpus <= usable, job.request.memoryBytes <= capacity.memoryBytes { blocked = job }
            }
        }
    }

    /// A second decision at the same moment has nothing to add.
    private mutating func checkThatNothingMoreFits() {
        var again = state
        if !again.decide(now: Timestamp(milliseconds: clock)).isEmpty { violations.append("a decision was left over") }
        if let wake = state.nextWake(after: Timestamp(milliseconds: clock)), wake.milliseconds <= clock {
            violations.append("a wake-up in the past")
        }
    }

    /// Once everything is mended and every delay is over, each job runs.
    private mutating func drain() {
        for gpu in capacity.gpus { state.setHealth(ofGPU: gpu, unhealthy: nil) }
        clock += 1000
        for _ in 0...nextID {
            decide()
            while !running.isEmpty { state.release(running.removeLast()) }
        }
        let stuck = state.queuedJobs.filter { capacity.shortfalls(of: $0.request).isEmpty }
        if !stuck.isEmpty { violations.append("never started: \(stuck.map(\.id))") }
    }
}
