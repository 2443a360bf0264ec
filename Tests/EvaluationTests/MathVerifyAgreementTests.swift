import Foundation
import JSON
import Testing

@testable import Evaluation

/// What Swift decides by itself must be what the whole procedure with math-verify decides.
@Suite struct MathVerifyAgreementTests {
    private static let python: String? = {
        guard let python = ProcessInfo.processInfo.environment["ANNEAL_PYTHON"] else { return nil }
        let check = Process()
        check.executableURL = URL(fileURLWithPath: python)
        check.arguments = ["-c", "import math_verify"]
        check.standardError = FileHandle.nullDevice
        // A Python that cannot be started has no math-verify.
        guard (try? check.run()) != nil else { return nil }
        check.waitUntilExit()
        return check.terminationStatus == 0 ? python : nil
    }()

    /// The replies of the grading program, by the place of the pair.
    private static func replies(_ pairs: [(expected: String, answer: String)]) throws -> [Int: Bool] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("grade-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }  // A folder left behind harms no test.
        let lines = pairs.enumerated().map { index, pair -> String in
            let line: JSONValue = ["id": .int(Int64(index)), "expected": .string(pair.expected), "answer": .string(pair.answer)]
            return line.text() + "\n"
        }
        let input = folder.appendingPathComponent("in.jsonl")
        try Data(lines.joined().utf8).write(to: input)
        let output = folder.appendingPathComponent("out.jsonl")
        try Data().write(to: output)
        let trainer = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../Sources/trainer").standardizedFileURL.path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        process.arguments = ["-m", "anneal_trainer.grade"]
        process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONPATH": trainer]) { $1 }
        process.standardInput = try FileHandle(forReadingFrom: input)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        var replies: [Int: Bool] = [:]
        for line in String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n") {
            let reply = try JSONParser.parse(String(line))
            replies[try #require(reply["id"]?.int)] = reply["correct"]?.bool
        }
        return replies
    }

    /// Ways to write a number, and things that look like one.
    private static func spelling(_ generator: inout SplitMix64) -> String {
        let values = ["0", "1", "5", "7", "10", "12", "50", "100", "1000", "1234", "1000000", "12345678901234567890"]
        let value = values[generator.index(below: values.count)]
        let sign = ["", "", "", "-", "+"][generator.index(below: 5)]
        let fractions = ["", "", "", ".0", ".5", ".50", ".25", ".", ".1234567", ".1234561"]
        let fraction = fractions[generator.index(below: fractions.count)]
        let end = ["", "", "", "", "%", "\\%", "."][generator.index(below: 7)]
        switch generator.index(below: 8) {
        case 0: return sign + "00" + value + fraction + end
        case 1:
            let digits = Array(value)
            let grouped = digits.indices.map { ($0 > 0 && (digits.count - $0) % 3 == 0 ? "," : "") + String(digits[$0]) }.joined()
            return sign + grouped + fraction + end
        case 2: return ["A", "B", "J", "(A)", "A.", "a"][generator.index(below: 6)]
        case 3: return ["\\frac{1}{2}", "1/2", "0.5", ".5", "$5$", "\\$5", "x", "5 km"][generator.index(below: 8)]
        default: return sign + value + fraction + end
        }
    }

    @Test(.enabled(if: python != nil, "needs ANNEAL_PYTHON, a Python with math-verify"))
    func whatIsDecidedHereIsDecidedAsByTheWholeProcedure() throws {
        var generator = SplitMix64(seed: 20)
        var pairs: [(expected: String, answer: String)] = []
        var verdicts: [Bool] = []
        while pairs.count < 1200 {
            let expected = Self.spelling(&generator)
            // Most random pairs differ; some are made of the same value.
            let answer = generator.index(below: 4) == 0 ? expected : Self.spelling(&generator)
            guard let verdict = MathAnswer.isEqual(answer, to: expected) else { continue }
            pairs.append((expected, answer))
            verdicts.append(verdict)
        }
        let replies = try Self.replies(pairs)
        for (index, pair) in pairs.enumerated() {
            #expect(replies[index] == verdicts[index], "expected '\(pair.expected)', answer '\(pair.answer)'")
        }
    }
}
