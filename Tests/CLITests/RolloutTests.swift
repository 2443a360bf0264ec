import APITypes
import JSON
import Testing

@Suite struct RolloutTests {
    private static let job = Sample.jobID(2)

    private func rollout(_ completion: String, reward: Double) -> RolloutView {
        RolloutView(
            step: 40, line: 7, prompt: "user: 3 + 4?", completion: completion, expected: "7", rewards: ["exact": reward, "length": 1],
            reward: reward, advantage: reward - 0.5, tokens: 3, truncated: completion.isEmpty, isCut: false)
    }

    @Test func responsesAreShownInLinesOrWhole() throws {
        let view = RolloutsView(
            jobID: Self.job, step: 40, steps: [1, 40], kept: 64, data: [rollout("7", reward: 1), rollout("", reward: 0)])
        let none = RolloutsView(jobID: Self.job, step: 2, steps: [1, 40], kept: 0, data: [])
        let script: Script = [
            "GET /v1/jobs/\(Self.job)/rollouts": [
                try Script.json(view), try Script.json(view), try Script.json(none),
                try Script.json(RolloutsView(jobID: Self.job, step: nil, steps: [], kept: 0, data: [])),
            ]
        ]
        try CLIFixture.with(script) { fixture in
            let lines = try fixture.run("rollouts", Self.job, "--best", "--limit", "2")
            #expect(lines.status == 0, "\(lines.errors)")
            for part in ["step 40  2 of 64 kept responses", "LINE  REWARD  ADVANTAGE  TOKENS  EXPECTED  COMPLETION", "user: 3 + 4?", "3✂"] {
                #expect(lines.output.contains(part), "\(part) in\n\(lines.output)")
            }
            let whole = try fixture.run("rollouts", Self.job, "--full", "--step", "40", "--worst")
            #expect(whole.output.contains("line 7 · reward 1 (exact 1, length 1) · advantage 0.5 · 3 tokens"), "\(whole.output)")
            #expect(whole.output.contains("  expected: 7\n  7\n"), "\(whole.output)")
            #expect(try fixture.run("rollouts", Self.job, "--step", "2").output == "step 2 has no rollouts; steps from 1 to 40 have\n")
            #expect(try fixture.run("rollouts", Self.job).output == "no rollouts yet\n")
            #expect(try fixture.run("rollouts", Self.job, "--best", "--worst").status == 2)
            #expect(try fixture.run("rollouts", Self.job, "--limit", "0").status == 2)
            #expect(try fixture.run("rollouts", Self.job, "--limit", "101").status == 2)
        }
    }
}
