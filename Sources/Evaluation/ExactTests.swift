import Glibc

/// Tests of significance that need no assumption on the size of differences.
enum ExactTests {
    /// The two-sided probability of at least so uneven a split of `up` + `down` changes, if either direction were as likely.
    ///
    /// The sign test; for items that are only right or wrong it is McNemar's test in its exact form (Dietterich 1998, "Approximate
    /// Statistical Tests", section 3.1, with the binomial distribution in the place of χ²). 1 where nothing changed.
    static func signTest(up: Int, down: Int) -> Double {
        let count = up + down
        guard count > 0 else { return 1 }
        let logTotal = Double(count) * log(2)
        let tail = (0...min(up, down)).reduce(0.0) { sum, k in
            let logChoices = lgamma(Double(count + 1)) - lgamma(Double(k + 1)) - lgamma(Double(count - k + 1))
            return sum + exp(logChoices - logTotal)
        }
        return min(1, 2 * tail)
    }

    /// Probabilities of several tests, raised so that the chance of even one false alarm stays at the level of one test (Holm 1979).
    static func holm(_ probabilities: [Double]) -> [Double] {
        let order = probabilities.indices.sorted { (probabilities[$0], $0) < (probabilities[$1], $1) }
        var adjusted = probabilities
        var reached = 0.0
        for (rank, index) in order.enumerated() {
            reached = max(reached, min(1, Double(probabilities.count - rank) * probabilities[index]))
            adjusted[index] = reached
        }
        return adjusted
    }
}
