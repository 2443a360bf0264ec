import ArgumentParser
import Domain
import Glibc
import Scheduling
import SchedulerSimulation

/// Tries the scheduler's rules on traces.
@main
struct AnnealSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anneal-simulator",
        abstract: "Try the scheduler's rules on a trace, with a virtual clock.",
        subcommands: [Generate.self, Run.self, Bench.self])
}

/// Makes a trace.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a trace like that of a large research cluster, as CSV.")

    @Option(help: "Jobs to make.") var jobs = 4_000
    @Option(help: "GPUs of the machine that the load is for.") var gpus = 64
    @Option(help: "Work that comes in, as a part of what the GPUs can do.") var load = 0.95
    @Option(help: "The seed; equal seeds give equal traces.") var seed: UInt64 = 1

    func run() {
        var generator = TraceGenerator(jobs: jobs, gpus: gpus, load: load, seed: seed)
        print(TraceCSV.text(generator.make()), terminator: "")
    }
}

/// Plays a trace.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Play a trace for first come first served, for Anneal's rules, and for these without each of their parts.")

    @Option(help: "The trace (CSV); without it one is generated.") var trace: String?
    @Option(help: "GPUs of the machine.") var gpus = 64
    @Option(help: "Jobs of the generated trace.") var jobs = 4_000
    @Option(help: "Load of the generated trace.") var load = 0.95
    @Option(help: "Seed of the generated trace.") var seed: UInt64 = 1

    func run() throws {
        let jobs = try readTrace()
        guard jobs.allSatisfy({ $0.gpus <= gpus }) else { throw ValidationError("the trace has jobs of more than \(gpus) GPUs") }
        print("\(jobs.count) jobs, \(gpus) GPUs; waits in minutes, loss in GPU-hours")
        Self.row(["policy", "mean wait", "p50", "p99", "longest", "utilization", "fairness", "loss", "starved"])
        for (name, policy) in Self.policies {
            var simulation = Simulation(jobs, gpus: gpus, policy: policy)
            let result = simulation.run()
            Self.row([
                name, Self.minutes(result.meanWait), Self.minutes(result.medianWait), Self.minutes(result.p99Wait),
                Self.minutes(result.longestWait), Self.decimal(result.utilization * 100, 1) + " %", Self.decimal(result.fairness, 3),
                Self.decimal(result.preemptionLossHours, 1), String(result.starved),
            ])
        }
    }

    private func readTrace() throws -> [TraceJob] {
        guard let trace else {
            var generator = TraceGenerator(jobs: jobs, gpus: gpus, load: load, seed: seed)
            return generator.make()
        }
        guard let file = fopen(trace, "r") else { throw ValidationError("\(trace): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes.append(contentsOf: chunk[..<count]) }
        do {
            return try TraceCSV.parse(String(decoding: bytes, as: UTF8.self))
        } catch let error as TraceError {
            throw ValidationError("\(trace): \(error)")
        }
    }

    static var policies: [(String, SchedulingPolicy)] {
        func without(_ change: (inout SchedulingPolicy) -> Void) -> SchedulingPolicy {
            var policy = SchedulingPolicy.standard
            change(&policy)
            return policy
        }
        return [
            ("fifo", .fifo), ("anneal", .standard), ("- backfill", without { $0.isBackfillOn = false }),
            ("- fair share", without { $0.fairShareWeight = 0 }), ("- ageing", without { $0.ageingInterval = nil }),
            ("- preemption", without { $0.isPreemptionOn = false }),
        ]
    }

    private static func row(_ cells: [String]) {
        let widths = [14, 11, 9, 9, 9, 12, 9, 8, 8]
        print(
            zip(cells, widths).map { cell, width in
                let space = String(repeating: " ", count: max(0, width - cell.count))
                return width == 14 ? cell + space : space + cell
            }.joined())
    }

    private static func minutes(_ seconds: Double) -> String { decimal(seconds / 60, 1) }

    static func decimal(_ value: Double, _ digits: Int) -> String {
        let scale = digits == 0 ? 1.0 : pow(10, Double(digits))
        return String((value * scale).rounded() / scale)
    }
}

/// Measures decisions with a long queue.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measure decision rounds with many waiting jobs.")

    @Option(help: "Waiting jobs.") var jobs = 100_000
    @Option(help: "GPUs of the machine.") var gpus = 1_024
    @Option(help: "Rounds to measure.") var rounds = 2_000

    func run() {
        var generator = TraceGenerator(jobs: jobs + rounds * 8, gpus: gpus, seed: 7)
        let trace = generator.make()
        let slots = (0..<gpus).map { index in
            var slot = GPUSlot(uuid: "gpu-\(index)")
            slot.nvlinkIsland = index / 8
            return slot
        }
        var state = SchedulerState(capacity: HostCapacity(slots: slots, cpus: 1 << 20, memoryBytes: 1 << 60))
        var next = 0
        func enqueue(at now: Timestamp) {
            let job = trace[next]
            var entry = QueuedJob(id: "j\(next)", priority: job.priority, enqueuedAt: now, request: ResourceRequest(gpus: job.gpus))
            entry.project = job.project
            entry.timeLimit = .seconds(job.timeLimit)
            entry.isPreemptible = job.isPreemptible
            state.enqueue(entry)
            next += 1
        }
        for index in 0..<jobs { enqueue(at: Timestamp(milliseconds: Int64(index))) }
        var now = Timestamp(milliseconds: Int64(jobs))
        var times: [Double] = []
        for _ in 0...rounds {
            let start = Self.seconds()
            _ = state.decide(now: now)
            times.append((Self.seconds() - start) * 1000)
            now = now + .seconds(10)
            // A few end and a few come between two rounds, as on a busy cluster.
            for id in state.running.keys.sorted().prefix(4) { state.release(id, at: now) }
            for _ in 0..<4 where next < trace.count { enqueue(at: now) }
        }
        let later = times.dropFirst().sorted()
        print(
            "\(state.queuedCount) waiting, \(gpus) GPUs: first round \(Run.decimal(times[0], 2)) ms, then p50 "
                + "\(Run.decimal(later[later.count / 2], 3)) ms, p99 \(Run.decimal(later[later.count * 99 / 100], 3)) ms, "
                + "longest \(Run.decimal(later[later.count - 1], 3)) ms over \(later.count) rounds; \(Self.residentMegabytes()) MB resident"
        )
    }

    private static func seconds() -> Double {
        var moment = timespec()
        clock_gettime(CLOCK_MONOTONIC, &moment)
        return Double(moment.tv_sec) + Double(moment.tv_nsec) / 1e9
    }

    private static func residentMegabytes() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss / 1024
    }
}
