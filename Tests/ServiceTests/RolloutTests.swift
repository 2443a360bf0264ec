import APITypes
import Foundation
import Testing

@testable import Service

/// Reading what a reinforcement job's trainer keeps of its responses.
@Suite struct RolloutTests {
    private func with(_ lines: [String], _ body: (RolloutFile) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/anneal-rollouts-" + UUID().uuidString
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }  // A file left behind harms no test.
        try body(RolloutFile(path: path))
    }

    private func line(_ step: Int, _ text: String = "x") -> String {
        #"{"step": \#(step), "line": 3, "prompt": "user: p", "completion": "\#(text)", "expected": null, "rewards": {"exact": 1.0}, "#
            + #""reward": 1.0, "advantage": -0.5, "tokens": 2, "truncated": true, "is_cut": false}"#
    }

    @Test func theNewestStepOrTheOneAskedForIsRead() throws {
        let torn = String(line(9).dropLast(20))
        try with([line(1, "a"), line(1, "b"), "no line of the trainer's", line(3, "c"), torn]) { file in
            let newest = try file.read(step: nil)
            #expect(newest.step == 3 && newest.steps == [1, 3])
            let wanted = RolloutView(
                step: 3, line: 3, prompt: "user: p", completion: "c", expected: nil, rewards: ["exact": 1], reward: 1, advantage: -0.5,
                tokens: 2, truncated: true, isCut: false)
            #expect(newest.rollouts == [wanted])
            let first = try file.read(step: 1)
            #expect(first.rollouts.map(\.completion) == ["a", "b"])
            let none = try file.read(step: 2)
            #expect(none.step == 2 && none.rollouts.isEmpty && none.steps == [1, 3])
        }
        let missing = try RolloutFile(path: "/nonexistent/rollouts.jsonl").read(step: nil)
        #expect(missing.step == nil && missing.steps.isEmpty)
    }

    @Test func whatIsReadIsBounded() throws {
        for (count, read) in [(ServiceLimits.rolloutsReadMax, ServiceLimits.rolloutsReadMax), (ServiceLimits.rolloutsReadMax + 1, 1024)] {
            try with(Array(repeating: line(1), count: count) + [""]) { file in
                let found = try file.read(step: nil)
                #expect(found.rollouts.count == read)
            }
        }
        let steps = ServiceLimits.rolloutStepsMax
        for (last, first) in [(steps, 1), (steps + 1, 2)] {
            try with((1...last).map { line($0) } + [""]) { file in
                let found = try file.read(step: nil)
                #expect(found.steps == Array(first...last))
            }
        }
    }
}
