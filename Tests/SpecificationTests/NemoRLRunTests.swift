import Domain
import JSON
import Testing

@testable import Specification

/// What Anneal writes for NeMo RL, and what it refuses.
struct NemoRLRunTests {
    private let fixture = NemoRLFixture()

    @Test func anSFTJobBecomesAConfiguration() throws {
        let run = try fixture.run(
            [
                "model": "/m", "dataset": "/t.jsonl", "validation": "/v.jsonl",
                "params": [
                    "epochs": 2, "max_steps": 55, "global_batch_size": 256, "micro_batch_size": 2, "max_length": 2048,
                    "learning_rate": 3e-6,
                    "beta2": 0.95, "validate_every": 10, "validation_batches": 0, "precision": "bf16", "only_final_turn": true,
                    "chat_template": "${x}", "lora": ["rank": 16, "target_modules": ["q_proj"]], "schedule": "linear", "warmup_steps": 5,
                ],
                "checkpoint": ["every": 55, "keep_top_k": .null],
            ], gpus: 8, saveBy: "00:03:36:00", divisor: 2)
        #expect(run.problems.isEmpty && run.layout == .new)
        let config = run.config
        let expected: [(String, JSONValue)] = [
            ("sft.max_num_epochs", 2), ("sft.max_num_steps", 55), ("policy.train_global_batch_size", 256),
            ("policy.train_micro_batch_size", 1),
            ("policy.max_total_sequence_length", 2048), ("policy.optimizer.kwargs.lr", 3e-6),
            ("policy.optimizer.kwargs.betas", [0.9, 0.95]),
            // Each checkpoint is at a validation: the greatest common divisor of 10 and 55.
            ("sft.val_period", 5), ("sft.val_at_end", true), ("sft.val_batches", -1), ("policy.precision", "bfloat16"),
            ("sft.only_unmask_final", true), ("policy.tokenizer.chat_template", "\\${x}"), ("policy.dtensor_cfg.lora_cfg.dim", 16),
            ("policy.dtensor_cfg.lora_cfg.match_all_linear", false), ("checkpointing.save_period", 55), ("checkpointing.keep_top_k", .null),
            ("checkpointing.checkpoint_must_save_by", "00:03:36:00"), ("checkpointing.checkpoint_dir", "/ckpt"),
            ("logger.log_dir", "/logs"),
            ("cluster.gpus_per_node", 8), ("policy.model_name", "/m"), ("policy.tokenizer.name", "/m"), ("logger.wandb_enabled", false),
            ("data.train", ["dataset_name": "openai_format", "split": .null, "chat_key": "messages", "data_path": "/t.jsonl"]),
            ("data.validation.data_path", "/v.jsonl"), ("checkpointing.metric_name", "val:val_loss"),
        ]
        for (path, value) in expected { #expect(config[dotted: path] == value, "\(path): \(config[dotted: path] ?? .null)") }
        let schedule = try #require(config[dotted: "policy.scheduler"]?.array)
        #expect(schedule.count == 3 && schedule[2] == ["milestones": [5]] && schedule[1]["kwargs"]?["total_iters"] == 50)
        #expect(run.arguments(config: "/c.yaml") == ["uv", "run", "python", "examples/run_sft.py", "--config", "/c.yaml"])
        #expect(
            run.export.arguments(checkpoint: "/ckpt/step_5", to: "/hf").suffix(6) == [
                "--config", "/ckpt/step_5/config.yaml", "--dcp-ckpt-path", "/ckpt/step_5/policy/weights", "--hf-ckpt-path", "/hf",
            ])
        #expect(
            run.export.arguments(checkpoint: "/c/step_5", form: .megatron(iteration: "iter_0000000"), to: "/hf") == [
                "uv", "run", "--extra", "mcore", "python", "examples/converters/convert_megatron_to_hf.py", "--config",
                "/c/step_5/config.yaml", "--megatron-ckpt-path", "/c/step_5/policy/weights/iter_0000000", "--hf-ckpt-path", "/hf",
            ])
        #expect(run.configText.contains("defaults: \"/nemo/examples/configs/sft.yaml\""))
    }

    @Test func checkpointsAreSavedAsTheConverterReadsThem() throws {
        var fixture = fixture
        fixture.files["/nemo/examples/configs/sft.yaml"] =
            NemoRLFixture.example.replacing("only_here: 1", with: "dtensor_cfg: {_v2: true, lora_cfg: {enabled: false}}")
        let spec: JSONObject = ["model": "/m", "dataset": "/t.jsonl"]
        func format(_ more: JSONObject) throws -> JSONValue? {
            try fixture.run(spec.merging(more) { $1 }).config[dotted: "checkpointing.model_save_format"]
        }
        #expect(try format([:]) == "torch_save")
        #expect(try format(["export": "none"]) == nil)
        let lora: JSONObject = ["params": ["lora": ["rank": 4]]]
        expectProblem(try fixture.run(spec.merging(lora) { $1 }).problems.map { "\($0.pointer) \($0.detail)" }, "/export ", "merge_lora")
        #expect(try fixture.run(spec.merging(lora) { $1 }.merging(["export": "none"]) { $1 }).problems.isEmpty)
        #expect(try format(["overrides": ["checkpointing.model_save_format=safetensors"]]) == "safetensors")
    }

    @Test func theOldLayoutHasFlatData() throws {
        let run = try fixture.run(["root": "/old", "model": "/m", "dataset": "/t.jsonl"])
        #expect(run.problems.isEmpty && run.layout == .old)
        let data = try #require(run.config[dotted: "data"]?.object)
        #expect(data["train"] == nil && data["train_data_path"] == "/t.jsonl" && data["val_data_path"] == .null)
        #expect(data["dataset_name"] == "openai_format" && data["use_preserving_dataset"] == false)
        // Nothing to validate on, and a release without val_at_end.
        #expect(run.config[dotted: "sft.val_period"] == -1 && run.config[dotted: "sft.val_at_end"] == nil)
        #expect(run.config[dotted: "checkpointing.metric_name"] == "train:loss")
        #expect(try fixture.run(["version": "0.5", "model": "/m", "dataset": "/t.jsonl"]).layout == .old)
    }

    @Test(arguments: [
        ("dpo", "dpo", "run_dpo", "val:validation-default_loss"), ("reward", "rm", "run_rm", "val:validation-default_loss"),
        ("grpo", "grpo", "run_grpo", "val:accuracy"), ("distill", "distillation", "run_distillation", "val:accuracy"),
    ])
    func otherMethodsHaveTheirOwnSections(_ method: String, _ section: String, _ script: String, _ metric: String) throws {
        let files = NemoRLFixture.example.replacing("sft: {", with: "\(section): {")
        let example = try #require(NemoRLAlgorithm(method: method)).defaultConfig
        let fixture = NemoRLFixture(files: ["/nemo/\(example)": files])
        let params: JSONValue = ["max_steps": 7, "seed": 1, "beta": 0.2, "kl_type": "forward", "generations_per_prompt": 4]
        let run = try fixture.run([
            "method": .string(method), "model": "/m", "teacher": "/t", "dataset": "/t.jsonl", "validation": "/v.jsonl", "params": params,
        ])
        #expect(run.arguments(config: "c")[3] == "examples/\(script).py" && run.problems.isEmpty, "\(run.problems)")
        #expect(run.config[dotted: "\(section).max_num_steps"] == 7 && run.config[dotted: "checkpointing.metric_name"] == .string(metric))
        #expect((run.config[dotted: "dpo.reference_policy_kl_penalty"] == 0.2) == (method == "dpo"))
        #expect((run.config[dotted: "teacher.model_name"] != nil) == true)
        let name: JSONValue = ["dpo", "reward"].contains(method) ? "BinaryPreferenceDataset" : "ResponseDataset"
        #expect(run.config[dotted: "data.train.dataset_name"] == name)
        // Old checkouts have the program under an older name.
        let old = try fixture.run(["method": .string(method), "version": "0.4", "model": "/m", "dataset": "/t.jsonl"])
        #expect(["run_grpo", "run_distillation"].contains(script) == old.arguments(config: "c")[3].hasSuffix("_math.py"))
    }

    @Test func anEvaluationHasItsOwnKeys() throws {
        let files = [
            "/nemo/examples/configs/evals/eval.yaml": "eval: {k_value: 1, save_path: null}\ngeneration: {temperature: 0.0}\ndata: {}\n"
        ]
        let run = try NemoRLFixture(files: files).run([
            "method": "eval", "model": "/m", "dataset": "/q.jsonl", "params": ["samples": 4, "k": 2],
        ])
        #expect(run.config[dotted: "generation.model_name"] == "/m" && run.config[dotted: "eval.save_path"] == "/out/eval")
        #expect(run.config[dotted: "checkpointing"] == nil && run.config[dotted: "logger"] == nil)
        expectProblem(run.problems.map(\.detail), "4 answers at temperature 0 are the same")
        // What its loader of files reads without asking whether it is there.
        let data: JSONValue = [
            "dataset_name": "/q.jsonl", "file_format": "json", "split": "train", "problem_key": "input", "solution_key": "output",
            "prompt_file": .null, "system_prompt_file": .null,
        ]
        #expect(run.config[dotted: "data"] == data)
        // The program takes key=value alone, the value in YAML, and any key.
        let given = try NemoRLFixture(files: files).run([
            "method": "eval",
            "overrides": ["eval.seed=1_0", "data.dataset_name=a,b", "+eval.seed=2", "~eval.seed", "eval.sead=1", "eval.save_path=/x"],
        ])
        #expect(given.config[dotted: "eval.seed"] == 10 && given.config[dotted: "data.dataset_name"] == "a,b")
        let told = given.problems.map { "\($0.pointer) \($0.detail)" }
        for (index, words) in [
            (2, "key=value alone"), (3, "key=value alone"), (4, "did you mean 'eval.seed'"), (5, "set by Anneal itself"),
        ] {
            expectProblem(told, "/overrides/\(index) ", words)
        }
        #expect(told.count == 4, "\(told)")
    }

    @Test(
        arguments: [
            (Duration.seconds(4 * 3600), nil, "00:03:36:00"), (.seconds(10 * 86_400), nil, "09:23:30:00"),
            (.seconds(600), nil, "00:00:08:00"),
            (.seconds(100), nil, "00:00:00:50"), (.seconds(1), nil, nil), (.seconds(3600), .seconds(60), "00:00:59:00"),
            (.seconds(60), .seconds(60), nil), (.seconds(100 * 86_400), .seconds(0), "100:00:00:00"),
        ] as [(Duration, Duration?, String?)])
    func theLastSaveComesBeforeTheLimit(_ limit: Duration, _ margin: Duration?, _ expected: String?) {
        #expect(NemoRLRun.saveBy(limit: limit, margin: margin) == expected)
    }

    @Test(
        arguments: [
            ("v0.7.0", NemoRLLayout.new), ("0.6", .new), ("0.5.0rc0", .old), ("0.3.1", .old), ("1.0", .new), ("main", nil), ("6", nil),
        ] as [(String, NemoRLLayout?)])
    func releasesTellTheLayout(_ version: String, _ layout: NemoRLLayout?) { #expect(NemoRLLayout(version: version) == layout) }

    // MARK: The user's own configuration

    @Test func keysOfTheOtherLayoutAreTold() throws {
        let old = "data:\n  dataset_name: openai_format\n  train_data_path: /t\n  val_data_path: /v\n  chat_key: m\n  add_bos: true\n"
        let found = try fixture.problems(old)
        expectProblem(
            found, "/config unknown_key own.yaml:3: 'data.train_data_path' moved", "967d2c856 of 2026-01-22", "data.train.data_path")
        expectProblem(found, "own.yaml:4:", "data.validation.data_path")
        expectProblem(found, "own.yaml:5:", "data.default.chat_key")
        expectProblem(found, "/config required own.yaml:1:", "'data.train' is missing")
        let inOld = try fixture.problems(old, root: "/old")
        #expect(found.count == 5 && inOld.isEmpty, "\(found) \(inOld)")
        expectProblem(
            try fixture.problems("data: {train: {data_path: /t}}", root: "/old"), "this NeMo RL is older: write data.dataset_name")
    }

    @Test func unknownKeysAreTold() throws {
        let base = "defaults: /nemo/examples/configs/sft.yaml\n"
        expectProblem(
            try fixture.problems(base + "policy: {train_globl_batch_size: 1}"), "own.yaml:2",
            "did you mean 'policy.train_global_batch_size'")
        expectProblem(try fixture.problems(base + "policy: {val_period: 1}"), "there is 'sft.val_period'")
        expectProblem(try fixture.problems(base + "zebra: 1"), "unknown key 'zebra' for sft", "+zebra=")
        // A variable of the user's own is one that something refers to.
        #expect(try fixture.problems(base + "zebra: {steps: 3}\nsft: {max_num_steps: '${zebra.steps}'}\n").isEmpty)
        // What the checkout has itself it knows, and mappings of arguments are open.
        #expect(try fixture.problems(base + "policy: {only_here: 2, optimizer: {kwargs: {anything: 1}}}\n").isEmpty)
    }

    @Test func overridesAreCheckedInStructMode() throws {
        let base = "defaults: /nemo/examples/configs/sft.yaml\n"
        expectProblem(
            try fixture.problems(base, overrides: ["sft.seed=1", "sft.sed=1"]), "/overrides/1 unknown_key", "did you mean 'sft.seed'")
        expectProblem(try fixture.problems(base, overrides: ["data.train_data_path=/x"]), "/overrides/0", "moved", "data.train.data_path")
        expectProblem(
            try fixture.problems(base, overrides: ["checkpointing.checkpoint_dir=/x"]), "/overrides/0 conflict", "set by Anneal itself")
        expectProblem(try fixture.problems(base, overrides: ["~logger"]), "'logger.log_dir' is set by Anneal itself")
        expectProblem(
            try fixture.problems(base, overrides: ["checkpointing.metric_name=val_loss"]), "/overrides/0 conflict", "'train:' or 'val:'")
        #expect(try fixture.problems(base, overrides: ["+policy.zebra=1", "++sft.seed=2", "~policy.tokenizer"]).isEmpty)
    }

    @Test func brokenValuesAreTold() throws {
        let base = "defaults: /nemo/examples/configs/sft.yaml\n"
        expectProblem(try fixture.problems(base + "policy: {model_name: \"${gone.x}\"}"), "/config unknown_reference own.yaml:2", "gone.x")
        expectProblem(
            try fixture.problems(base + "policy: {sequence_packing: {enabled: true}, dynamic_batching: {enabled: true}}"),
            "exclude each other")
        expectProblem(try fixture.problems(base + "checkpointing: {checkpoint_must_save_by: 4h}"), "quoted DD:HH:MM:SS, not")
        expectProblem(try fixture.problems(base + "data: {validation: null}"), "must be 0 or less where there is no data.validation")
    }

    @Test func theUsersConfigurationKeepsItsOwnSettings() throws {
        var fixture = fixture
        fixture.files["/my/own.yaml"] =
            "defaults: /nemo/examples/configs/sft.yaml\ncheckpointing: {checkpoint_must_save_by: \"00:01:00:00\"}\n"
        let run = try fixture.run(["config": "/my/own.yaml", "params": ["max_steps": 3]], gpus: 0, saveBy: "00:00:00:09")
        #expect(run.problems.isEmpty, "\(run.problems)")
        #expect(
            run.config[dotted: "checkpointing.checkpoint_must_save_by"] == "00:01:00:00" && run.config[dotted: "sft.max_num_steps"] == 3)
        #expect(run.config[dotted: "sft.val_period"] == 10 && run.config[dotted: "logger.wandb_enabled"] == true)
        #expect(run.overlay["cluster"] == nil && run.configText.contains("defaults: \"/my/own.yaml\""))
        #expect(run.ranking.metric == "val:val_loss" && !run.ranking.higherIsBetter)
    }
}
