import Domain
import Glibc

/// What each project has used of late, and how much that weighs in the order of the queue.
///
/// A project's factor is 2^(−usage share ÷ entitled share), as in Slurm's classic multifactor priority plugin
/// (slurm.schedmd.com/priority_multifactor.html): 1 for one that used nothing, ½ for one that used exactly its part.
struct FairShare: Sendable {
    private struct Account: Sendable {
        /// Decayed GPU-seconds as of `at`.
        var seconds = 0.0
        var at: Timestamp
        /// GPUs held since `at`.
        var rate = 0.0
        var terms = ProjectTerms()
    }

    private var accounts: [String: Account] = [:]
    private let halfLife: Double

    init(halfLife: Duration) { self.halfLife = halfLife.inSeconds }

    var names: [String] { accounts.keys.sorted() }

    func terms(_ project: String) -> ProjectTerms { accounts[project]?.terms ?? ProjectTerms() }

    /// GPUs that a project holds, shares as fractions.
    func gpusInUse(_ project: String) -> Double { accounts[project]?.rate ?? 0 }

    mutating func setTerms(_ terms: ProjectTerms, of project: String) {
        accounts[project, default: Account(at: Timestamp(milliseconds: 0))].terms = terms
    }

    mutating func restore(_ project: String, seconds: Double, at: Timestamp) {
        accounts[project, default: Account(at: at)].seconds = seconds
        accounts[project]?.at = at
    }

    /// Notes that a project holds so many GPUs more, or with a negative number fewer, from now on.
    mutating func change(_ project: String, by gpus: Double, at now: Timestamp) {
        var account = accounts[project] ?? Account(at: now)
        account.seconds = value(account, at: now)
        account.at = max(account.at, now)
        account.rate = max(0, account.rate + gpus)
        // Sums of fractions leave crumbs.
        if account.rate < 0.0005 { account.rate = 0 }
        accounts[project] = account
    }

    func usage(_ project: String, at now: Timestamp) -> Double { accounts[project].map { value($0, at: now) } ?? 0 }

    /// The decayed sum, with what was held since in closed form: ∫ rate · 2^(−t/h) dt.
    private func value(_ account: Account, at now: Timestamp) -> Double {
        let elapsed = max(0, (now - account.at).inSeconds)
        let decay = exp2(-elapsed / halfLife)
        return account.seconds * decay + account.rate * halfLife / M_LN2 * (1 - decay)
    }

    /// The factors of these projects, 0 to 1, higher for those that used less than their part.
    func factors(of projects: some Sequence<String>, at now: Timestamp) -> [String: Double] {
        let usages = accounts.mapValues { value($0, at: now) }
        let names = Set(projects).union(usages.filter { $0.value > 0.001 }.keys)
        let total = usages.values.reduce(0, +)
        let weights = names.reduce(0) { $0 + terms($1).weight }
        guard total > 0, weights > 0 else { return [:] }
        return Dictionary(
            names.map { ($0, exp2(-(usages[$0, default: 0] / total) / (terms($0).weight / weights))) },
            uniquingKeysWith: { first, _ in first })
    }
}
