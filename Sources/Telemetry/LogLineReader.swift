/// Finds numbers in what trainers print: the dictionaries of Hugging Face's Trainer, tqdm's bars, and NeMo RL's lists.
///
/// Printed numbers are rounded and name no step; the step is taken from the last progress bar or headline, or counted.
struct LogLineReader: Sendable {
    private var step: Int?
    private var counted = 0

    /// The points of one line.
    mutating func read(_ line: ArraySlice<UInt8>, receivedAt seconds: Double) -> [FollowedPoint] {
        guard line.count <= TelemetryLimits.logLineBytesMax, let text = String(validating: line, as: UTF8.self) else { return [] }
        let trimmed = text.trimmingPrefix { $0 == " " || $0 == "\t" }
        if let found = Self.dictionary(trimmed) {
            // Trainer's last line sums the run up; its numbers are of no step.
            guard found.contains(where: { $0.0 == "loss" || $0.0.hasPrefix("eval_") || $0.0.hasSuffix("/loss") }) else { return [] }
            if step == nil { counted += 1 }
            return points(found, step ?? counted, seconds)
        }
        if let bar = Self.bar(trimmed) {
            step = bar.done
            return points(bar.postfix, bar.done, seconds)
        }
        if let headline = Self.headline(trimmed) {
            step = headline
            return []
        }
        if let step, let item = Self.item(trimmed) { return points([item], step, seconds) }
        return []
    }

    private func points(_ pairs: [(String, Double)], _ step: Int, _ seconds: Double) -> [FollowedPoint] {
        pairs.filter { MetricLine.isKey($0.0) }.map { FollowedPoint(key: $0.0, step: step, seconds: seconds, value: $0.1) }
    }

    /// `{'loss': 1.733, 'grad_norm': '0.51', 'epoch': 0.1}` as Python prints it (transformers, trainer_callback.py: PrinterCallback).
    private static func dictionary(_ text: Substring) -> [(String, Double)]? {
        guard text.hasPrefix("{'") || text.hasPrefix("{\""), let end = text.lastIndex(of: "}") else { return nil }
        var pairs: [(String, Double)] = []
        for member in text[text.index(after: text.startIndex)..<end].split(separator: ",") {
            guard let colon = member.lastIndex(of: ":") else { continue }
            let key = member[..<colon].trimmingQuotes()
            if let value = number(member[member.index(after: colon)...].trimmingQuotes()), !key.isEmpty {
                pairs.append((String(key), value))
            }
        }
        return pairs.isEmpty ? nil : pairs
    }

    /// `45%|████▌     | 450/1000 [01:30<01:50, 5.0it/s, loss=1.73]` (tqdm, std.py: format_meter).
    private static func bar(_ text: Substring) -> (done: Int, postfix: [(String, Double)])? {
        guard let bracket = text.lastIndex(of: "["), let end = text.lastIndex(of: "]"), bracket < end, text.contains("%|") else {
            return nil
        }
        let counts = text[..<bracket].split(separator: " ").last?.split(separator: "/") ?? []
        guard counts.count == 2, let done = Int(counts[0]), Int(counts[1]) != nil, done >= 0 else { return nil }
        let parts = text[text.index(after: bracket)..<end].split(separator: ",")
        let postfix = parts.compactMap { part -> (String, Double)? in
            let sides = part.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, let value = number(sides[1].trimmingQuotes()) else { return nil }
            return (String(sides[0].trimmingQuotes()), value)
        }
        return (done, postfix)
    }

    /// `========================= Step 12/100 =========================` (NeMo RL, nemo_rl/algorithms/grpo.py).
    private static func headline(_ text: Substring) -> Int? {
        guard text.hasPrefix("==="), let range = text.range(of: "Step ") else { return nil }
        return Int(text[range].prefix { $0.isASCII && $0.isNumber })
    }

    /// `• Avg Reward: 0.5310`, one of a list under a headline.
    private static func item(_ text: Substring) -> (String, Double)? {
        guard text.hasPrefix("• "), let colon = text.lastIndex(of: ":") else { return nil }
        let name = text[text.index(text.startIndex, offsetBy: 2)..<colon].lowercased().split(separator: " ").joined(separator: "_")
        let rest = text[text.index(after: colon)...].trimmingPrefix { $0 == " " }
        let digits = rest.prefix { $0.isASCII && ($0.isNumber || "+-.e".contains($0)) }
        guard let value = Double(digits), !name.isEmpty else { return nil }
        return (name, value)
    }

    private static func number(_ text: Substring) -> Double? {
        switch text {
        case "nan": .nan
        case "inf": .infinity
        case "-inf": -.infinity
        default: text.first.map { $0.isNumber || "+-.".contains($0) } == true ? Double(text) : nil
        }
    }
}

extension Substring {
    fileprivate func trimmingPrefix(_ isNoise: (Character) -> Bool) -> Substring { drop(while: isNoise) }

    fileprivate func trimmingQuotes() -> Substring {
        let isNoise: (Character) -> Bool = { $0 == " " || $0 == "'" || $0 == "\"" }
        var rest = drop(while: isNoise)
        while let last = rest.last, isNoise(last) { rest.removeLast() }
        return rest
    }

    /// What follows the first `text`.
    fileprivate func range(of text: String) -> PartialRangeFrom<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return index(start, offsetBy: text.count)... }
            start = index(after: start)
        }
        return nil
    }
}
