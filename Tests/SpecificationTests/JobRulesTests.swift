import Domain
import JSON
import Testing

@testable import Specification

@Suite struct JobRulesTests {
    private let fixture = PlanFixture()

    private func problems(_ job: String) -> [String] { fixture.problems(PlanFixture.job(job)) }

    @Test(arguments: [PlanFixture.train, PlanFixture.evaluate, PlanFixture.convert, PlanFixture.prepare, PlanFixture.command])
    func theLeastJobOfEachKindIsRight(_ job: String) {
        #expect(problems(job) == [])
    }

    @Test func eachRequiredKeyIsMissed() {
        for job in [PlanFixture.train, PlanFixture.evaluate, PlanFixture.convert, PlanFixture.prepare, PlanFixture.command] {
            let lines = job.split(separator: "\n").map(String.init)
            for index in lines.indices {
                var fewer = lines
                let key = fewer.remove(at: index).prefix { $0 != ":" }
                expectProblem(problems(fewer.isEmpty ? "{}" : fewer.joined(separator: "\n")), "required", "'\(key)' is missing")
            }
        }
    }

    @Test(arguments: ["search"])
    func kindsOfLaterBuildsAreNamedAsSuch(_ kind: String) {
        let found = problems("kind: \(kind)\nanything: 1")
        expectProblem(found, "/jobs/a/kind unsupported", "'\(kind)' is not supported by this build")
        #expect(found.count == 1)
    }

    @Test(
        arguments: [
            ("priority: 101", "/priority out_of_range"), ("priority: high", "/priority wrong_type"),
            ("priority: 1.5", "/priority wrong_type"), ("cache: yes", "write true or false"),
            ("timeout: 0", "/timeout out_of_range"), ("timeout: -5s", "/timeout bad_value"), ("timeout: 400d", "/timeout out_of_range"),
            ("grace: 2d", "/grace out_of_range"),
            ("retry: 101", "/retry out_of_range"), ("retry: {limit: -1}", "/retry/limit out_of_range"),
            ("retry: {times: 3}", "/retry/times unknown_key"),
            ("retry: {backoff: 0.5}", "/retry/backoff out_of_range"), ("retry: often", "/retry wrong_type"),
            ("resources: {gpu: 1}", "did you mean 'gpus'?"),
            ("resources: {gpus: -1}", "/resources/gpus out_of_range"), ("resources: {cpus: 0}", "/resources/cpus out_of_range"),
            ("resources: {memory: lots}", "/resources/memory bad_value"), ("resources: 8", "/resources wrong_type"),
            ("workdir: nowhere", "/workdir missing_file"),
            ("workdir: data.jsonl", "is a file; a folder is needed"), ("workdir: ${b.c}", "/workdir"),
            ("env: {A-B: x}", "/env/A-B bad_value"), ("env: {A: [x]}", "/env/A wrong_type"),
            ("env: {A: 1.10}", "put the number in quotes"), ("env: {A: null}", "/env/A wrong_type"),
            ("env: {CUDA_VISIBLE_DEVICES: '0'}", "set by Anneal"),
            ("needs: 5", "/needs wrong_type"), ("needs: [5]", "/needs/0 wrong_type"), ("needs: [a]", "/needs/0 cycle"),
            ("if: 5", "/if wrong_type"), ("if: nonsense", "/if bad_value"),
            ("if: z.x > 1", "/if unknown_name"), ("if: a.x > 1", "/if cycle"), ("description: [x]", "/description wrong_type"),
            ("outputs: [a, a]", "/outputs/1 conflict"),
            ("outputs: [1a]", "/outputs/0 bad_value"), ("outputs: a", "/outputs wrong_type"), ("cmd: x", "unknown_key"),
            ("params: {}", "unknown_key"), ("retry:", "/retry wrong_type"),
        ] as [(String, String)])
    func wrongSettingsOfAnyJobAreRefused(_ line: String, _ words: String) {
        expectProblem(problems(PlanFixture.command + "\n" + line), words)
    }

    @Test(arguments: [
        "command: []", "command: ''", "command: ['']", "command: [x, 1.5]", "command: [x, [y]]", "command: {x: y}", "command: [x, null]",
        "command: \"a\\0b\"",
    ])
    func badCommandsAreRefused(_ line: String) {
        #expect(!problems("kind: command\n\(line)").isEmpty)
    }

    @Test func aShellVariableIsExplained() {
        expectProblem(problems("kind: command\ncommand: echo ${HOME}"), "/command bad_value", "'$${HOME}'")
        expectProblem(problems("kind: command\ncommand: echo ${user.name}"), "write '$${user.name}' for the literal text")
        #expect(problems("kind: command\ncommand: echo $HOME $${HOME} $(date)") == [])
    }

    @Test(
        arguments: [
            ("params: {epochs: 0}", "/params/epochs out_of_range"), ("params: {epochs: 1.5}", "/params/epochs wrong_type"),
            ("params: {epochs: '2'}", "write it without quotes"),
            ("params: {max_steps: 0}", "/params/max_steps"), ("params: {learning_rate: 0}", "/params/learning_rate out_of_range"),
            ("params: {learning_rate: .nan}", "out_of_range"),
            ("params: {beta2: 1}", "/params/beta2 out_of_range"), ("params: {epsilon: 0}", "/params/epsilon"),
            ("params: {schedule: cosin}", "did you mean 'cosine'?"),
            ("params: {precision: fp16}", "/params/precision bad_value"), ("params: {shuffle: on}", "write true or false"),
            ("params: {seed: -1}", "/params/seed"),
            ("params: {lora: {rank: 0}}", "/params/lora/rank out_of_range"), ("params: {lora: {dropout: 1}}", "/params/lora/dropout"),
            ("params: {lora: true}", "/params/lora wrong_type"),
            ("params: {lora: {target_modules: all}}", "'all-linear'"), ("params: {lora: {target_modules: []}}", "must not be empty"),
            ("params: {bf16: true}", "unknown_key"),
            ("params: {global_batch_size: 30, micro_batch_size: 4}", "not a multiple of the micro batch size 4"),
            ("params: {global_batch_size: 12}\nresources: {gpus: 8}", "× 8 GPUs = 8"),
            ("params: {min_learning_rate: 1e-5}", "greater than the learning rate"),
            ("params: {warmup_steps: 9, max_steps: 5}", "greater than max_steps"), ("params: {validate_every: 10}", "give 'validation'"),
            ("params: {validate_at_start: true}", "give 'validation'"), ("checkpoint: {metric: val_loss}", "give 'validation'"),
            ("checkpoint: {metric: bleu}", "/checkpoint/metric bad_value"),
            ("checkpoint: {every: 0}", "/checkpoint/every"), ("checkpoint: {keep_top_k: 0}", "/checkpoint/keep_top_k"),
            ("checkpoint: {mode: best}", "/checkpoint/mode"),
            ("engine: nemo", "/engine bad_value"), ("engine: trll", "did you mean 'trl'?"),
            ("validation: ./gone.jsonl", "/validation missing_file"),
        ] as [(String, String)])
    func wrongTrainingSettingsAreRefused(_ lines: String, _ words: String) {
        expectProblem(problems(PlanFixture.train + "\n" + lines), words)
    }

    @Test(arguments: [
        "params: {max_steps: null, lora: null, chat_template: null}", "params: {lora: {}}",
        "params: {lora: {rank: 4, target_modules: [q_proj]}}",
        "params: {global_batch_size: 256}\nresources: {gpus: 8}", "params: {learning_rate: 1, epsilon: 1e-8, min_learning_rate: 0}",
        "checkpoint: {every: null, keep_top_k: null}",
        "validation: more.jsonl\nparams: {validate_every: 5, validate_at_start: false}\ncheckpoint: {metric: val_loss}",
        "checkpoint: {metric: train_loss}",
        "retry: 0\ngrace: 1s\npriority: 0\ndescription: x", "params: {epochs: 2.0}",
    ])
    func rightTrainingSettingsAreAccepted(_ lines: String) {
        #expect(problems(PlanFixture.train + "\n" + lines) == [])
    }

    @Test(arguments: [("sfd", "did you mean 'sft'?"), ("distil", "did you mean 'distill'?")] as [(String, String)])
    func otherMethodsAreRefused(_ method: String, _ words: String) {
        expectProblem(problems("kind: train\nmethod: \(method)\nmodel: models/base\ndataset: data.jsonl"), "/method", words)
    }

    @Test(
        arguments: [
            ("model: gone", "no folder at '/srv/gone'"), ("model: broken", "no config.json"), ("model: data.jsonl", "is a file"),
            ("model: checkpoint:ckpt_9", "unknown_name"),
            ("model: ''", "must not be empty"), ("model: 5", "wrong_type"), ("model: \"${x.y}/z\"", "one reference alone"),
            ("dataset: nobody", "no dataset 'nobody'"),
            ("dataset: models/base", "is a folder; a file is needed"), ("dataset: [data.jsonl]", "wrong_type"),
        ] as [(String, String)])
    func inputsThatAreNotThereAreRefused(_ line: String, _ words: String) {
        let key = line.prefix { $0 != ":" }
        let others = PlanFixture.train.split(separator: "\n").filter { !$0.hasPrefix(key + ":") }
        expectProblem(problems((others + [line[...]]).joined(separator: "\n")), "/jobs/a/\(key)", words)
    }

    @Test(
        arguments: [
            ("model: checkpoint:ckpt_1", ExternalInput.Source.registered("ckpt_1")), ("dataset: arithmetic", .registered("arithmetic")),
            ("dataset: arithmetic@2", .registered("arithmetic@2")),
            ("dataset: ds_1", .registered("ds_1")), ("dataset: /srv/old/../data.jsonl", .path("/srv/data.jsonl")),
            ("dataset: .//./data.jsonl", .path("/srv/data.jsonl")),
            ("model: /srv/models/base/", .path("/srv/models/base")),
        ] as [(String, ExternalInput.Source)])
    func inputsAreFound(_ line: String, _ source: ExternalInput.Source) throws {
        let key = line.prefix { $0 != ":" }
        let others = PlanFixture.train.split(separator: "\n").filter { !$0.hasPrefix(key + ":") }
        let plan = try fixture.plan(PlanFixture.job((others + [line[...]]).joined(separator: "\n")))
        #expect(plan.jobs[0].inputs.contains { $0.pointer.description == "/\(key)" && $0.source == source })
    }

    @Test func relativePathsNeedAFolderToStartFrom() {
        var remote = PlanFixture()
        remote.baseDirectory = nil
        expectProblem(remote.problems(PlanFixture.job(PlanFixture.train)), "/model missing_file", "names no folder to start from")
        #expect(remote.problems(PlanFixture.job(PlanFixture.command)) == [])
    }

    @Test(
        arguments: [
            ("source: {}", "names no source"), ("source: {file: data.jsonl, url: http://x/y}", "several sources"),
            ("source: {file: []}", "must not be empty"),
            ("source: {file: [data.jsonl, gone.jsonl]}", "/source/file/1 missing_file"),
            ("source: {url: ftp://x}", "/source/url bad_value"), ("source: {url: http://}", "/source/url"),
            ("source: {file: data.jsonl, sha256: x}", "only with 'url'"),
            ("source: {url: https://x/y, sha256: abc}", "64 hexadecimal digits"),
            ("source: {file: data.jsonl, bytes_max: 3}", "only with 'url'"),
            ("source: {file: data.jsonl}\nregister_as: ../x", "/register_as bad_value"),
            ("source: {generator: {name: times_ten}}", "'count' is missing"),
            ("source: {generator: {name: times_nine, count: 1}}", "/generator/name"),
            ("source: {generator: {name: times_ten, count: 1}}\nformat: preference", "differs from the generator's format"),
            ("source: data.jsonl", "/source wrong_type"),
            ("source: {file: data.jsonl}\nformat: jsonl", "/format bad_value"),
            ("source: {file: data.jsonl}\nsteps: shuffle", "/steps wrong_type"),
            ("source: {file: data.jsonl}\nsteps: [shuffle]", "write '- shuffle: {}'"),
            ("source: {file: data.jsonl}\nsteps: [{shufle: {}}]", "did you mean 'shuffle'?"),
            ("source: {file: data.jsonl}\nsteps: [{shuffle: {}, sample: {}}]", "one key"),
            ("source: {file: data.jsonl}\nsteps: [{sample: {}}]", "'count' is missing"),
            ("source: {file: data.jsonl}\nsteps: [{split: {train: 0.9, validation: 0.1}}, {shuffle: {}}]", "must be the last step"),
            ("source: {file: data.jsonl}\nsteps: [{split: {train: 0.9, validation: 0.2}}]", "add up to"),
            ("source: {file: data.jsonl}\nsteps: [{split: {train: 0.9, validation: 5}}]", "mixes"),
            ("source: {file: data.jsonl}\nsteps: [{split: {train: 1.0, validation: 0.1}}]", "/split/train"),
            ("source: {file: data.jsonl}\nsteps: [{split: {train: 5}}]", "'validation' is missing"),
            ("source: {file: data.jsonl}\nformat: messages\nsteps: [{jcqa_rebalance: {}}]", "needs jcqa records"),
            ("source: {file: data.jsonl}\nsteps: [{jcqa_messages: {}}, {jcqa_rebalance: {}}]", "at this point they are messages"),
            ("source: {generator: {name: times_ten, count: 5}}\nsteps: [{to_messages: {}}]", "needs input_output records"),
            ("source: {file: data.jsonl}\ncompat: seed", "has none"),
            ("source: {file: data.jsonl}\ncompat: seed\nsteps: [{jcqa_rebalance: {}}, {shuffle: {}}]", "not 'shuffle'"),
            ("source: {file: data.jsonl}\ncompat: other", "/compat bad_value"),
        ] as [(String, String)])
    func wrongDataPreparationsAreRefused(_ lines: String, _ words: String) {
        expectProblem(problems("kind: prepare\n" + lines), words)
    }

    @Test(arguments: [
        "source: {file: [data.jsonl, more.jsonl]}\nsteps: [{to_messages: {system: Hi}}, {shuffle: }, {sample: {count: 5, seed: 1}}]",
        "source: {dataset: arithmetic@2}\nformat: messages\nsteps: [{split: {train: 0.7, validation: 0.2, test: 0.1}}]",
        "source: {url: \"https://example.org/a?b\"}",
        """
        source: {generator: {name: times_ten, count: 200, start: 1, step: 2, format: input_output}}
        steps: [{to_messages: {}}, {split: {train: 100, validation: 50, seed: 3}}]
        """,
        """
        source: {file: data.jsonl}
        compat: seed
        steps: [{jcqa_rebalance: {seed: 42}}, {jcqa_messages: {}}, {split: {train: 0.9, validation: 0.1, seed: 42}}]
        """,
    ])
    func rightDataPreparationsAreAccepted(_ lines: String) {
        #expect(problems("kind: prepare\n" + lines) == [])
    }

    @Test(
        arguments: [
            ("create: {hidden_size: 63}", "not a multiple of num_attention_heads"),
            ("create: {hidden_size: 20}", "rotary embeddings need an even one"),
            ("create: {num_key_value_heads: 3}", "num_attention_heads, 4, is not a multiple of 3"),
            ("create: {architecture: gpt5}", "/create/architecture"), ("create: {dtype: int8}", "/create/dtype"),
            ("create: {num_hidden_layers: 0}", "/create/num_hidden_layers"),
            ("tokenizer: {vocab_size: 100}", "/tokenizer/vocab_size out_of_range"), ("tokenizer: {type: wordpiece}", "/tokenizer/type"),
            ("tokenizer: {train_on: gone.jsonl}", "/tokenizer/train_on missing_file"), ("seed: x", "/seed wrong_type"),
            ("chat_template: ''", "/chat_template"),
        ] as [(String, String)])
    func wrongModelsAreRefused(_ change: String, _ words: String) throws {
        let document = try SpecDocument.parse(Array(change.utf8)).get().value
        var overrides: [String] = []
        for (key, value) in document.object ?? [:] {
            for (inner, leaf) in value.object ?? ["": value] { overrides.append("a.\(key)\(inner.isEmpty ? "" : ".\(inner)")=\(leaf)") }
        }
        expectProblem(fixture.problems(PlanFixture.job(PlanFixture.convert), overrides: overrides), words)
    }

    @Test(
        arguments: [
            ("server: {}", "neither 'engine'"), ("server: {engine: vllm, url: http://x}", "both"),
            ("server: {engine: tgi}", "/server/engine bad_value"),
            ("server: {engine: vllm, api_key_env: X}", "stands only with 'url'"),
            ("server: {url: http://x, args: {a: 1}}", "stands only with 'engine'"),
            ("server: {engine: vllm, args: {port: 1}}", "set by Anneal"), ("server: {engine: vllm, args: {--x: 1}}", "/server/args/--x"),
            ("server: {engine: vllm, args: {x: {y: 1}}}", "wrong_type"),
            ("server: {engine: vllm, startup_timeout: x}", "/server/startup_timeout"), ("benchmarks: []", "must not be empty"),
            ("benchmarks: [{}]", "names neither 'dataset'"),
            ("benchmarks: [{dataset: data.jsonl, name: x}, {dataset: more.jsonl, name: x}]", "two benchmarks"),
            ("benchmarks: [{dataset: data.jsonl, samples: 0}]", "/samples"),
            ("benchmarks: [{dataset: data.jsonl, samples: 4, temperature: 0}]", "the same answer"),
            ("benchmarks: [{dataset: data.jsonl, top_p: 0}]", "/top_p"),
            ("benchmarks: [{dataset: data.jsonl, grader: llm}]", "/grader"), ("concurrency: 0", "/concurrency"),
            ("request_timeout: 0", "/request_timeout"), ("compare_to: eval_9", "no evaluation"),
            ("compare_to: gone.json", "missing_file"), ("gate: {}", "at least one metric"), ("gate: {accuracy: 0.5}", "wrong_type"),
            ("gate: {accuracy: about 5}", "no condition"),
            ("gate: {acuracy: '> 0.5'}", "did you mean 'accuracy'?"), ("gate: {pass@8: '> 0.5'}", "needs 8 samples"),
            ("gate: {pass@x: '> 0.5'}", "no metric"),
            ("gate: {accuracy: '> baseline'}", "give 'compare_to'"),
            ("benchmarks: [{dataset: data.jsonl, name: x}]\ngate: {y/accuracy: '> 0'}", "no benchmark 'y'"),
            ("gate: [x]", "/gate wrong_type"),
        ] as [(String, String)])
    func wrongEvaluationsAreRefused(_ lines: String, _ words: String) {
        let key = lines.prefix { $0 != ":" }
        let others = PlanFixture.evaluate.split(separator: "\n").filter { !$0.hasPrefix(key + ":") }
        expectProblem(problems((others + [lines[...]]).joined(separator: "\n")), words)
    }

    @Test(arguments: [
        "compare_to: old/evaluation.json\ngate: {accuracy: '>= baseline * 1.1', no_answer: '<= 0.1', avg_tokens: '< 100'}",
        "compare_to: eval_1",
        "gate: {anything/accuracy: '> 0.5'}", "concurrency: 4\nrequest_timeout: 30s",
    ])
    func rightEvaluationsAreAccepted(_ lines: String) {
        #expect(problems(PlanFixture.evaluate + "\n" + lines) == [])
    }

    @Test func aRunningServerNeedsNoModel() {
        #expect(
            problems(
                """
                kind: evaluate
                server: {url: http://127.0.0.1:8000, model: m, api_key_env: KEY}
                benchmarks: [{dataset: arithmetic, samples: 8, name: x}]
                gate: {x/pass@8: '> 0'}
                """
            ) == [])
    }

    @Test func everyDefaultPassesItsOwnCheck() {
        func visit(_ table: [ParameterSchema], _ path: String) {
            for schema in table {
                #expect(!schema.doc.isEmpty)
                if case .object(let inner) = schema.type { visit(inner, path + "/" + schema.name) }
                guard var value = schema.defaultValue else { continue }
                let diagnostics = Diagnostics(document: SpecDocument(value: [:]))
                var check = SchemaCheck(world: World(fixture.context), diagnostics: diagnostics, base: JSONPointer())
                check.check(&value, as: schema.type, at: JSONPointer([schema.name]))
                #expect(diagnostics.count == 0, "\(path)/\(schema.name)")
                #expect(!schema.type.description.isEmpty)
            }
        }
        for kind in JobKind.allCases { visit(ParameterSchema.table(kind: kind), kind.rawValue) }
        for method in TrainingMethod.all { visit(ParameterSchema.table(kind: .train, method: method.name), method.name) }
        visit(ParameterSchema.common, "common")
        visit(ParameterSchema.document, "document")
        visit(ParameterSchema.cluster, "cluster")
        #expect(ParameterSchema.parameters(method: "sft").contains { $0.name == "learning_rate" && $0.defaultValue == 5e-6 })
        #expect(ParameterSchema.parameters(method: "dop").isEmpty && ParameterSchema.table(kind: .search).isEmpty)
    }

    @Test(
        arguments: [
            ("{method: sft}", "val_loss", true), ("{method: grpo}", "val_accuracy", false),
            ("{method: distill, checkpoint: {metric: val_kl_reverse}}", "val_kl_reverse", true),
            ("{method: grpo, checkpoint: {metric: train_loss}}", "train_loss", true),
            ("{method: dpo, checkpoint: {metric: val_acc, mode: min}}", "val_acc", true),
        ] as [(String, String, Bool)])
    func checkpointsAreRankedByTheMethodsOwnMetric(_ spec: String, _ metric: String, _ lowIsGood: Bool) throws {
        let training = try SpecDocument.parse(Array(spec.utf8)).get().value
        let ranking = CheckpointRanking(training: training)
        #expect(ranking.metric == metric && ranking.lowIsGood == lowIsGood)
    }
}
