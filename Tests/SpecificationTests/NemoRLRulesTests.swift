import Domain
import JSON
import Testing

@testable import Specification

/// A train job of the engine `nemo-rl` in a spec.
struct NemoRLRulesTests {
    private func problems(_ lines: String, files: [String: String] = NemoRLFixture().files) -> [String] {
        let plain = PlanFixture()
        let folders = plain.folders.union(["/nemo", "/nemo/examples", "/old", "/old/examples"])
        let known = plain.files.union(files.keys)
        let context = PlanContext(
            baseDirectory: "/srv", pathExists: { known.contains($0) ? .file : folders.contains($0) ? .directory : nil },
            artifactExists: { _ in false }, readFile: { files[$0].map { Array($0.utf8) } })
        let text = PlanFixture.job("kind: train\nengine: nemo-rl\n" + lines)
        switch SpecDocument.parse(Array(text.utf8)).flatMap({ ExperimentPlan.make(from: $0, context: context) }) {
        case .success(let plan): return plan.jobs[0].outputs.map { "output \($0)" }
        case .failure(let errors): return errors.errors.map { "\($0.pointer) \($0.code.rawValue) \($0.detail)" }
        }
    }

    private static let sft = "method: sft\nroot: /nemo\nmodel: models/base\ndataset: data.jsonl\nresources: {gpus: 1}\n"

    @Test func aSoundJobDeclaresItsOutputs() {
        #expect(problems(Self.sft) == ["output checkpoint.best", "output checkpoint.last", "output model"])
        #expect(problems(Self.sft + "export: none\n").count == 2)
        let eval = Self.sft.replacing("method: sft", with: "method: eval")
        #expect(problems(eval) == ["output evaluation_data"])
    }

    @Test func keysAndParametersBelongToTheMethod() {
        expectProblem(problems(Self.sft + "params: {epoch: 1}"), "/jobs/a/params/epoch unknown_key", "did you mean 'epochs'")
        expectProblem(problems(Self.sft + "params: {beta: 1}"), "unknown key 'beta'")
        expectProblem(problems(Self.sft + "teacher: models/base"), "/jobs/a/teacher conflict")
        expectProblem(problems(Self.sft.replacing("method: sft", with: "method: ppo")), "/jobs/a/method bad_value")
        expectProblem(problems(Self.sft.replacing("root: /nemo\n", with: "")), "required 'root' is missing")
        expectProblem(problems(Self.sft.replacing("/nemo", with: "/srv")), "/jobs/a/root missing_file", "no checkout")
        expectProblem(problems(Self.sft + "version: main"), "/jobs/a/version bad_value")
        expectProblem(problems(Self.sft + "save_margin: 5m"), "stands only with 'timeout'")
        expectProblem(problems(Self.sft + "timeout: 5m\nsave_margin: 5m"), "leaves no time to train")
        expectProblem(problems(Self.sft + "params: {schedule: cosine}"), "give 'max_steps'")
        expectProblem(problems(Self.sft + "params: {validate_every: 5}"), "needs validation data")
        expectProblem(problems(Self.sft.replacing("resources: {gpus: 1}\n", with: "")), "NeMo RL needs GPUs")
        expectProblem(problems("method: sft\nroot: /nemo\nresources: {gpus: 1}"), "'model' is missing")
        expectProblem(problems(Self.sft.replacing("sft", with: "distill")), "'teacher' is missing")
        expectProblem(
            problems(Self.sft.replacing("nemo-rl", with: "nemo") + "checkpoint: {metric: accuracy}"), "/checkpoint/metric bad_value")
    }

    @Test func aConfigurationIsReadAtSubmission() {
        var files = NemoRLFixture().files
        files["/srv/own.yaml"] = "defaults: /nemo/examples/configs/sft.yaml\nsft: {seeed: 1}\n"
        let found = problems(
            "method: sft\nroot: /nemo\nconfig: own.yaml\noverrides: [\"sft.sed=1\", \"+a.b=$${sft.seed}\"]\n", files: files)
        expectProblem(found, "/jobs/a/config unknown_key own.yaml:2: unknown key 'sft.seeed' (did you mean 'sft.seed'?)")
        expectProblem(found, "/jobs/a/overrides/0 unknown_key 'sft.sed'")
        #expect(found.count == 2, "\(found)")
        expectProblem(problems("method: sft\nroot: /nemo\nconfig: gone.yaml\n", files: files), "/jobs/a/config missing_file")
        expectProblem(
            problems("method: sft\nroot: /nemo\nconfig: own.yaml\noverrides: [\"a=${sft.seed}\"]\n", files: files), "$${sft.seed}")
    }
}
