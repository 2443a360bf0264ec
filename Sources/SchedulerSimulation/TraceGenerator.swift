import Glibc

/// Makes traces like those of Microsoft's Philly cluster (Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training
/// Workloads", USENIX ATC 2019): most jobs want one GPU, a few want many; most run for minutes, a few for days; some projects send most
/// of them. The distributions are made up to that description, not fitted to the data.
public struct TraceGenerator: Sendable {
    /// Share of jobs by GPUs.
    private static let sizes: [(gpus: Int, share: Double)] = [(1, 0.70), (2, 0.10), (4, 0.09), (8, 0.08), (16, 0.02), (32, 0.01)]
    /// Limits that users choose from, in seconds.
    private static let limits: [Double] = [1800, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400]

    public var jobs: Int
    public var gpus: Int
    /// Work that comes in, as a part of what the GPUs could do in the same time.
    public var load: Double
    public var projects: Int
    private var random: SplitMix64

    /// A generator; equal arguments give equal traces.
    public init(jobs: Int, gpus: Int, load: Double = 0.95, projects: Int = 12, seed: UInt64) {
        (self.jobs, self.gpus, self.load, self.projects) = (jobs, gpus, load, max(1, projects))
        random = SplitMix64(state: seed)
    }

    /// The trace, in the order of submission.
    public mutating func make() -> [TraceJob] {
        var drafts = (0..<jobs).map { _ in draft() }
        let work = drafts.reduce(0) { $0 + $1.runTime * Double($1.gpus) }
        let span = work / (Double(gpus) * load)
        // By day more comes in than by night; the first tenth is a backlog, as on a Monday.
        for index in drafts.indices {
            var moment = 0.0
            repeat { moment = uniform() * span } while uniform() > 0.6 + 0.4 * sin(moment / 86_400 * 2 * .pi)
            drafts[index].submit = moment.rounded()
        }
        return drafts.sorted { ($0.submit, $0.project) < ($1.submit, $1.project) }
    }

    private mutating func draft() -> TraceJob {
        var pick = uniform()
        var size = 1
        for (count, share) in Self.sizes {
            size = count
            pick -= share
            if pick < 0 { break }
        }
        // Logarithmically normal: half of the jobs end within 13 minutes, one in a hundred takes more than a day.
        let runTime = min(max(30, exp(log(780) + 2 * normal())), 6 * 86_400).rounded()
        let wanted = runTime * (1 + 4 * uniform())
        let limit = Self.limits.first { $0 >= wanted } ?? Self.limits[Self.limits.count - 1]
        let kind = uniform()
        let project = min(projects - 1, Int(Double(projects) * pow(uniform(), 2)))
        return TraceJob(
            submit: 0, gpus: min(size, gpus), runTime: runTime, project: "p\(project)", priority: kind < 0.05 ? 80 : kind < 0.3 ? 20 : 50,
            timeLimit: limit, isPreemptible: kind >= 0.05 && kind < 0.3)
    }

    private mutating func uniform() -> Double { Double.random(in: 0..<1, using: &random) }

    /// Box–Muller.
    private mutating func normal() -> Double { sqrt(-2 * log(1 - uniform())) * cos(2 * .pi * uniform()) }
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
struct SplitMix64: RandomNumberGenerator, Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
