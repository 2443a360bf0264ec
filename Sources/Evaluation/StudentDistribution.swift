import Glibc

/// Student's t distribution.
enum StudentDistribution {
    /// The probability of a value at least as far from 0 as `t`, with `degrees` of freedom.
    static func twoSidedProbability(_ t: Double, degrees: Double) -> Double {
        incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5)
    }

    /// The value that `probability` of the distribution lies within, on both sides of 0 together.
    static func twoSidedQuantile(_ probability: Double, degrees: Double) -> Double {
        var low = 0.0
        var high = 1.0
        while twoSidedProbability(high, degrees: degrees) > 1 - probability { high *= 2 }
        // Sixty halvings exhaust the precision of a Double.
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if twoSidedProbability(middle, degrees: degrees) > 1 - probability { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// The regularised incomplete beta function I_x(a, b), DLMF 8.17.
    static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
        // The continued fraction converges fast only on this side of the mean; I_x(a, b) = 1 − I_{1−x}(b, a) gives the other.
        if x < (a + 1) / (a + b + 2) { return front * continuedFraction(x, a, b) / a }
        return 1 - front * continuedFraction(1 - x, b, a) / b
    }

    /// DLMF 8.17.22, evaluated by Lentz's method.
    private static func continuedFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        let tiny = 1e-300
        func nonZero(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
        var c = 1.0
        var d = 1 / nonZero(1 - (a + b) * x / (a + 1))
        var result = d
        for m in 1...500 {
            let n = Double(m)
            let even = n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n))
            d = 1 / nonZero(1 + even * d)
            c = nonZero(1 + even / c)
            result *= d * c
            let odd = -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1))
            d = 1 / nonZero(1 + odd * d)
            c = nonZero(1 + odd / c)
            result *= d * c
            if abs(d * c - 1) < 1e-15 { break }
        }
        return result
    }
}
