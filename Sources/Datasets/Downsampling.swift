import JSON

/// Keeps so many records: any, or as evenly over the problems as possible.
public struct Downsampling: Sendable, Equatable {
    public enum Method: String, Sendable, CaseIterable {
        /// Drawn from all records.
        case random
        /// The first record of each problem, then the second of each, and so on.
        case fair
    }

    public var method: Method
    public var count: Int
    /// Whether the result is in random order.
    public var shuffles: Bool
    /// The member that tells the problem.
    public var groupBy: String
    public var seed: Int

    public init(method: Method, count: Int, shuffles: Bool = true, groupBy: String = "problem", seed: Int = 42) {
        (self.method, self.count, self.shuffles, self.groupBy, self.seed) = (method, count, shuffles, groupBy, seed)
    }

    /// The records to keep, in order.
    ///
    /// With `shuffles` the order is that of NeMo-Skills for the same seed. Without it NeMo-Skills' `random` takes the first records;
    /// here they are drawn all the same.
    func order(groups: [[Int]]) -> [Int] {
        var random = MersenneTwister(seed: seed)
        var all = groups.flatMap { $0 }
        guard all.count > count else {
            if shuffles { random.shuffle(&all) }
            return all
        }
        switch method {
        case .random:
            var drawn = Array(all.indices)
            random.shuffle(&drawn)
            return (shuffles ? Array(drawn[..<count]) : drawn[..<count].sorted()).map { all[$0] }
        case .fair:
            var kept: [Int] = []
            var round = 0
            while kept.count < count {
                for group in groups where kept.count < count && round < group.count { kept.append(group[round]) }
                round += 1
            }
            if shuffles { random.shuffle(&kept) }
            return kept
        }
    }
}

/// Chooses between a problem's solutions with code and those without.
public struct CodeTextFilter: Sendable, Equatable {
    public enum Mode: String, Sendable, CaseIterable {
        /// Only solutions with code.
        case all
        /// Those with code, and those without where at most half have code.
        case majorityCode = "majority_code"
        /// Those with code only where more than half have it; else those without.
        case majorityText = "majority_text"
        /// Those with code where there is one; else those without.
        case anyCode = "any_code"
    }

    public var mode: Mode
    /// What a solution with code contains.
    public var marker: String
    public var inputKey: String
    public var outputKey: String

    public init(mode: Mode, marker: String = "<tool_call>", inputKey: String = "problem", outputKey: String = "generation") {
        (self.mode, self.marker, self.inputKey, self.outputKey) = (mode, marker, inputKey, outputKey)
    }

    /// The records to keep: within each problem those with code first.
    func order(groups: [[Int]], hasCode: [Bool]) -> [Int] {
        groups.flatMap { group -> [Int] in
            let code = group.filter { hasCode[$0] }
            let text = group.filter { !hasCode[$0] }
            switch mode {
            case .all: return code
            case .majorityCode: return code.count <= group.count / 2 ? code + text : code
            case .majorityText: return code.count > group.count / 2 ? code : text
            case .anyCode: return code.isEmpty ? text : code
            }
        }
    }
}
