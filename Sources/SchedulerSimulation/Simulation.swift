import Domain
import Scheduling

/// Plays a trace through the scheduler with a virtual clock.
public struct Simulation {
    /// Between two checkpoints of a job that can be preempted, and how long one takes to save and to come back, in seconds.
    static let checkpointInterval = 600.0
    static let grace = 30.0
    static let restart = 60.0

    private struct Event {
        var at: Double
        var order: Int
        var job: Int
        var kind: Kind
        /// Tells an end that is still meant from one whose run was cut short.
        var run: Int

        enum Kind { case submit, end, stopped }
    }

    private struct Progress {
        var left: Double
        var firstStart: Double?
        var startedAt = 0.0
        var run = 0
        var lost = 0.0
    }

    private let jobs: [TraceJob]
    private let gpus: Int
    private var state: SchedulerState
    private var progress: [Progress]
    private var events = EventHeap<Event> { ($0.at, $0.order) < ($1.at, $1.order) }
    private var order = 0
    private var lastEnd = 0.0

    /// - Parameter gpus: of the machine, in islands of eight.
    public init(_ jobs: [TraceJob], gpus: Int, policy: SchedulingPolicy) {
        self.jobs = jobs
        self.gpus = gpus
        let slots = (0..<gpus).map { index in
            var slot = GPUSlot(uuid: "gpu-\(index)")
            slot.nvlinkIsland = index / 8
            return slot
        }
        state = SchedulerState(capacity: HostCapacity(slots: slots, cpus: 1_000_000, memoryBytes: 1 << 60), policy: policy)
        progress = jobs.map { Progress(left: $0.runTime) }
    }

    /// Plays the whole trace.
    public mutating func run() -> SimulationResult {
        for index in jobs.indices { push(jobs[index].submit, .submit, index, 0) }
        while let event = events.pop() {
            take(event)
            // Events of the same moment are one round.
            while let next = events.first, next.at == event.at, let same = events.pop() { take(same) }
            decide(event.at)
        }
        return SimulationResult(
            waits: jobs.indices.compactMap { index in progress[index].firstStart.map { $0 - jobs[index].submit } }, jobs: jobs,
            lost: progress.reduce(0) { $0 + $1.lost }, unstarted: progress.count { $0.firstStart == nil }, gpus: gpus, makespan: lastEnd)
    }

    private mutating func push(_ at: Double, _ kind: Event.Kind, _ job: Int, _ run: Int) {
        order += 1
        events.push(Event(at: at, order: order, job: job, kind: kind, run: run))
    }

    private mutating func take(_ event: Event) {
        let index = event.job
        switch event.kind {
        case .submit: enqueue(index)
        case .end where event.run == progress[index].run:
            lastEnd = max(lastEnd, event.at)
            state.release(name(index), at: Self.time(event.at))
        case .stopped where event.run == progress[index].run:
            // It saved when it was asked to; what it did while saving, and what coming back costs, is lost.
            let worked = max(0, event.at - Self.grace - progress[index].startedAt)
            progress[index].left = max(1, progress[index].left - worked) + Self.restart
            progress[index].lost += Double(jobs[index].gpus) * (Self.grace + Self.restart)
            progress[index].run += 1
            state.release(name(index), at: Self.time(event.at))
            enqueue(index)
        default: break
        }
    }

    private mutating func enqueue(_ index: Int) {
        let job = jobs[index]
        var entry = QueuedJob(
            id: name(index), priority: job.priority, enqueuedAt: Self.time(job.submit), request: ResourceRequest(gpus: job.gpus))
        entry.project = job.project
        entry.timeLimit = .seconds(job.timeLimit)
        entry.isPreemptible = job.isPreemptible
        state.enqueue(entry)
    }

    private mutating func decide(_ at: Double) {
        for decision in state.decide(now: Self.time(at)) {
            switch decision {
            case .start(let name, _):
                let index = Self.index(name)
                progress[index].firstStart = progress[index].firstStart ?? at
                progress[index].startedAt = at
                push(at + progress[index].left, .end, index, progress[index].run)
            case .preempt(let name, _):
                let index = Self.index(name)
                push(at + Self.grace, .stopped, index, progress[index].run)
            }
        }
    }

    private func name(_ index: Int) -> String { "j\(String(repeating: "0", count: max(0, 8 - String(index).count)))\(index)" }
    private static func index(_ name: String) -> Int { Int(name.dropFirst()) ?? 0 }
    private static func time(_ seconds: Double) -> Timestamp { Timestamp(milliseconds: Int64(seconds * 1000)) }
}

/// A binary heap; the first is the one that precedes all others.
struct EventHeap<Element> {
    private var elements: [Element] = []
    private let precedes: (Element, Element) -> Bool

    init(_ precedes: @escaping (Element, Element) -> Bool) { self.precedes = precedes }

    var first: Element? { elements.first }

    mutating func push(_ element: Element) {
        elements.append(element)
        var index = elements.count - 1
        while index > 0, precedes(elements[index], elements[(index - 1) / 2]) {
            elements.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop() -> Element? {
        guard !elements.isEmpty else { return nil }
        elements.swapAt(0, elements.count - 1)
        let element = elements.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < elements.count && precedes(elements[child], elements[least]) {
                least = child
            }
            if least == index { return element }
            elements.swapAt(index, least)
            index = least
        }
    }
}
