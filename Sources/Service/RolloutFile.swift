import APITypes
import Datasets
import JSON

/// Reads the responses that a reinforcement job keeps in its output folder. Blocks: call it off the loop.
struct RolloutFile {
    /// What the trainer calls it.
    static let name = "rollouts.jsonl"
    private static let stepMark = Array(#"{"step": "#.utf8)

    let path: String

    /// The steps that have responses, and the lines of one of them: the wanted one, else the newest.
    ///
    /// Only the lines of that step are parsed; of the others the step at their start is read.
    func read(step wanted: Int?) throws -> (step: Int?, steps: [Int], rollouts: [RolloutView]) {
        var steps: [Int] = []
        var chosen: [[UInt8]] = []
        do {
            try JSONLineReader(path: path).read { line in
                guard line.isTerminated, line.bytes.count <= ServiceLimits.sampledRecordBytesMax, let step = Self.step(of: line.bytes)
                else { return }
                if steps.last != step {
                    steps.append(step)
                    if wanted == nil { chosen.removeAll() }
                }
                if step == wanted ?? step, chosen.count < ServiceLimits.rolloutsReadMax { chosen.append(Array(line.bytes)) }
            }
        } catch let error as FileError where error.isMissing {
            return (wanted, [], [])
        }
        return (wanted ?? steps.last, steps.suffix(ServiceLimits.rolloutStepsMax), chosen.compactMap(Self.view))
    }

    /// The number at the start of a line that the trainer wrote.
    private static func step(of bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard bytes.starts(with: stepMark) else { return nil }
        return Int(String(decoding: bytes.dropFirst(stepMark.count).prefix { (0x30...0x39).contains($0) }, as: UTF8.self))
    }

    private static func view(_ bytes: [UInt8]) -> RolloutView? {
        // A line that was damaged is left out.
        guard let line = (try? JSONParser.parse(bytes, options: .python))?.object, let step = line["step"]?.int,
            let prompt = line["prompt"]?.string, let completion = line["completion"]?.string
        else { return nil }
        let rewards = (line["rewards"]?.object ?? [:]).compactMap { key, value in value.double.map { (key, $0) } }
        return RolloutView(
            step: step, line: line["line"]?.int ?? 0, prompt: prompt, completion: completion, expected: line["expected"]?.string,
            rewards: Dictionary(rewards) { first, _ in first }, reward: line["reward"]?.double ?? 0,
            advantage: line["advantage"]?.double ?? 0, tokens: line["tokens"]?.int ?? 0, truncated: line["truncated"]?.bool ?? false,
            isCut: line["is_cut"]?.bool ?? false)
    }
}
