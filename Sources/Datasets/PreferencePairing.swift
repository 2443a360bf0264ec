import JSON

/// Makes preference pairs of graded generations: a right one against a wrong one of the same problem.
public struct PreferencePairing: Sendable, Equatable {
    public enum Choice: String, Sendable, CaseIterable {
        /// Drawn at random.
        case random
        /// In the order in which they came.
        case first
        /// The best against the worst by `scoreKey`.
        case extremes
    }

    public var groupBy = "problem"
    /// The member that becomes the prompt; a text or a list of messages.
    public var promptKey = "problem"
    public var responseKey = "generation"
    /// Decides what is right; without a score.
    public var grade = CorrectnessSelection()
    /// A number that ranks the generations instead of the grade.
    public var scoreKey: String?
    /// The least difference between the scores of a pair; pairs of equal scores are never made.
    public var minMargin = 0.0
    public var pairsPerGroup = 1
    public var choice = Choice.random
    public var seed = 42

    public init() {}

    struct Candidate {
        var index: Int
        var isRight: Bool?
        var score: Double?
    }

    /// The pairs of one group, chosen first; each generation is used as seldom as possible.
    func pairs(of group: [Candidate], using random: inout MersenneTwister) -> [(chosen: Int, rejected: Int)] {
        if scoreKey != nil { return scoredPairs(of: group, using: &random) }
        var right = group.filter { $0.isRight == true }.map(\.index)
        var wrong = group.filter { $0.isRight == false }.map(\.index)
        guard !right.isEmpty, !wrong.isEmpty else { return [] }
        if choice == .random {
            random.shuffle(&right)
            random.shuffle(&wrong)
        }
        let wanted = min(pairsPerGroup, right.count * wrong.count)
        return (0..<wanted).map { number in
            // Going round the diagonal of the table of all pairs meets each pair once.
            let round = number / Self.leastCommonMultiple(right.count, wrong.count)
            return (right[number % right.count], wrong[(number + round) % wrong.count])
        }
    }

    private func scoredPairs(of group: [Candidate], using random: inout MersenneTwister) -> [(chosen: Int, rejected: Int)] {
        let ranked = group.enumerated().filter { $0.element.score != nil }
            .sorted { ($1.element.score ?? 0, $0.offset) < ($0.element.score ?? 0, $1.offset) }.map(\.element)
        var pairs: [(chosen: Candidate, rejected: Candidate)] = []
        for (position, better) in ranked.enumerated() {
            for worse in ranked[(position + 1)...].reversed() { pairs.append((better, worse)) }
        }
        func margin(_ pair: (chosen: Candidate, rejected: Candidate)) -> Double { (pair.chosen.score ?? 0) - (pair.rejected.score ?? 0) }
        pairs.removeAll { margin($0) <= 0 || margin($0) < minMargin }
        switch choice {
        case .random: random.shuffle(&pairs)
        case .first: pairs.sort { ($0.chosen.index, $0.rejected.index) < ($1.chosen.index, $1.rejected.index) }
        case .extremes:
            pairs = pairs.enumerated().sorted { (margin($1.element), $0.offset) < (margin($0.element), $1.offset) }.map(\.element)
        }
        return pairs.prefix(pairsPerGroup).map { ($0.chosen.index, $0.rejected.index) }
    }

    private static func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
        var (x, y) = (a, b)
        while y != 0 { (x, y) = (y, x % y) }
        return a / x * b
    }
}

/// The pairs of all groups, made when they are read.
final class PairedRecords: RecordFlow {
    private let records: any RecordCollection
    private let pairs: [(chosen: Int, rejected: Int)]
    private let pairing: PreferencePairing
    private let report: StepReport
    private let bad: BadRecords

    /// Reads `flow` and decides on the pairs.
    init(_ flow: any RecordFlow, _ pairing: PreferencePairing, report: StepReport, context: PreparationContext) throws {
        (self.pairing, self.report, bad) = (pairing, report, context.bad)
        var candidates: [PreferencePairing.Candidate] = []
        let (records, groups) = try RecordGroups.collect(flow, by: [pairing.groupBy], report: report, context: context) { record in
            candidates.append(
                PreferencePairing.Candidate(
                    index: candidates.count, isRight: pairing.grade.isCorrect(record),
                    score: try pairing.scoreKey.map { try Self.score(of: record, $0) }))
        }
        self.records = records
        var random = MersenneTwister(seed: pairing.seed, stream: RandomStream.pairs)
        var pairs: [(chosen: Int, rejected: Int)] = []
        for group in groups.members {
            let made = pairing.pairs(of: group.map { candidates[$0] }, using: &random)
            if made.isEmpty { report.drop("no_pair_in_group", group.count) }
            pairs += made
        }
        self.pairs = pairs
        report.note("groups", groups.members.count)
    }

    private static func score(of record: PreparedRecord, _ key: String) throws(DatasetError) -> Double {
        guard let score = record.member(key)?.double, score.isFinite else {
            throw record.failure("'\(key)' must be a finite number", at: key)
        }
        return score
    }

    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        for pair in pairs { try report.attempt(bad) { try make(pair, body) } }
    }

    private func make(_ pair: (chosen: Int, rejected: Int), _ body: (PreparedRecord) throws -> Void) throws {
        let (chosen, rejected) = (try records.record(at: pair.chosen), try records.record(at: pair.rejected))
        let prompt = chosen.member(pairing.promptKey) ?? .null
        guard prompt.string != nil || prompt.array != nil else {
            throw chosen.failure("'\(pairing.promptKey)' must be a text or a list of messages", at: pairing.promptKey)
        }
        var members: JSONObject = [
            "prompt": prompt, "chosen_response": .string(try chosen.text(pairing.responseKey)),
            "rejected_response": .string(try rejected.text(pairing.responseKey)),
        ]
        if let key = pairing.scoreKey {
            members["chosen_reward"] = chosen.member(key)
            members["rejected_reward"] = rejected.member(key)
        }
        report.counts.recordsOut += 1
        try body(chosen.replacing(members))
    }
}
