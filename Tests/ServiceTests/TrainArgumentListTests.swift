import EventLoop
import Foundation
import JSON
import Testing

@testable import Service

/// When the trainer is asked for its arguments, and what becomes of its answer. A script stands for Python.
@Suite struct TrainArgumentListTests {
    /// What the trainer prints of a file; `FOLDER/trl.py` stands for TRL.
    private static func answer(_ folder: String) throws -> String {
        let path = folder + "/trl.py"
        if !FileManager.default.fileExists(atPath: path) { try "".write(toFile: path, atomically: true, encoding: .utf8) }
        var status = stat()
        #expect(stat(path, &status) == 0)
        let time = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
        return """
            {"files": [{"path": "\(path)", "modified_ns": \(time), "bytes": \(status.st_size)}], "methods": {"sft": \
            {"config": "SFTConfig of TRL 9", "reserved": {"adam_beta1": "params.beta1"}, "arguments": {"neftune_noise_alpha": ["float"]}}}}
            """
    }

    /// Runs `body` with a service whose Python notes that it was asked, and then does what `script` says.
    private func with(script: String = "cat $PYTHONPATH/answer", _ body: (ServiceFixture) async throws -> Void) async throws {
        try await ServiceFixture.with(
            python: { folder in
                let path = folder + "/python"
                try Self.answer(folder).write(toFile: folder + "/answer", atomically: true, encoding: .utf8)
                try "#!/bin/sh\necho \"$@\" >> $PYTHONPATH/asked\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
                return path
            }, body)
    }

    private func request(_ fixture: ServiceFixture, _ args: String, method: String = "sft") -> SubmissionRequest {
        let spec = """
            {"name": "t", "jobs": {"a": {"kind": "train", "method": "\(method)", "model": "\(fixture.folder)", "dataset":
            "\(fixture.folder)/data.jsonl", "matrix": {"n": [1, 2]}, "params": {"seed": "${matrix.n}"}, "hold": true, "args": \(args)}}}
            """
        return SubmissionRequest(document: Array(spec.utf8), format: .json, overrides: [], baseDirectory: fixture.folder)
    }

    /// The errors of a spec with these `args`, by pointer, or else the warnings.
    private func outcome(_ fixture: ServiceFixture, _ args: String, method: String = "sft") async throws -> [String] {
        for name in ["config.json", "data.jsonl"] { try "{}".write(toFile: fixture.folder + "/" + name, atomically: true, encoding: .utf8) }
        do {
            return try await fixture.service.plan(request(fixture, args, method: method)).warnings
        } catch let error as ServiceError {
            return error.errors.map { "\($0.pointer) \($0.detail)" }
        }
    }

    private func timesAsked(_ fixture: ServiceFixture) throws -> Int {
        guard FileManager.default.fileExists(atPath: fixture.folder + "/asked") else { return 0 }
        return try String(contentsOfFile: fixture.folder + "/asked", encoding: .utf8).split(separator: "\n").count
    }

    private static let misspelt = [
        "/jobs/a/args/neftune_noise_alfa 'neftune_noise_alfa' is no argument of SFTConfig of TRL 9 (did you mean 'neftune_noise_alpha'?)"
    ]

    @Test func theTrainerIsAskedOnceAndNothingIsStoredOfWhatItRefuses() async throws {
        try await with { fixture in
            #expect(try await outcome(fixture, "{}") == [])
            #expect(try timesAsked(fixture) == 0)
            #expect(try await outcome(fixture, #"{"neftune_noise_alfa": 1}"#) == Self.misspelt)
            #expect(try await outcome(fixture, #"{"neftune_noise_alpha": 1}"#) == [])
            let refusal = await #expect(throws: ServiceError.self) {
                try await fixture.service.submit(request(fixture, #"{"adam_beta1": 0.5}"#))
            }
            #expect(refusal?.errors.map(\.detail) == ["'adam_beta1' is set by Anneal; use 'params.beta1'"])
            #expect(try timesAsked(fixture) == 1)
            #expect(try await fixture.store.read { try $0.experiment(named: "t", project: "default", activeOnly: false) } == nil)
            let accepted = try await fixture.service.submit(request(fixture, #"{"neftune_noise_alpha": 1}"#))
            #expect(accepted.warnings == nil && accepted.jobs.count == 2)
        }
    }

    @Test func theAnswerOutlivesTheDaemonAndEndsWithTheInstallation() async throws {
        try await with { fixture in
            #expect(try await outcome(fixture, #"{"neftune_noise_alfa": 1}"#) == Self.misspelt)
            let later = await LoopActor.run { TrainArgumentLists(fixture.service.configuration) }
            guard case .list(let arguments) = later.knowledge(of: "sft") else { Issue.record("nothing was kept"); return }
            #expect(arguments.config == "SFTConfig of TRL 9")
            try "another version".write(toFile: fixture.folder + "/trl.py", atomically: true, encoding: .utf8)
            guard case .unasked = later.knowledge(of: "sft") else { Issue.record("what was kept is of another version"); return }
            try Self.answer(fixture.folder).replacing("neftune_noise_alpha", with: "neftune_noise_alfa")
                .write(toFile: fixture.folder + "/answer", atomically: true, encoding: .utf8)
            #expect(try await outcome(fixture, #"{"neftune_noise_alfa": 1}"#) == [])
            #expect(try timesAsked(fixture) == 2)
        }
    }

    @Test(arguments: [
        ("echo no list; exit 3", "ended with exit code 3"), (#"echo '{"error": "No module named trl"}'; exit 1"#, "No module named trl"),
        ("kill -9 $$", "signal 9"), ("echo '{}'", "exit code 0"),
    ])
    func withoutAListAJobIsAcceptedWithAWarning(script: String, reason: String) async throws {
        try await with(script: script) { fixture in
            let warnings = try await outcome(fixture, #"{"no_such_argument": 1}"#)
            #expect(warnings.count == 1 && warnings[0].hasPrefix("the 'args' of 'a' are checked only when the trainer starts: "))
            #expect(warnings[0].contains(reason))
            let accepted = try await fixture.service.submit(request(fixture, #"{"no_such_argument": 1}"#))
            #expect(accepted.warnings == warnings)
            #expect(try timesAsked(fixture) == 1, "it is asked again only after \(ServiceLimits.trainArgumentRetrySeconds) s")
        }
    }

    @Test func aMethodThatTheTrainerDoesNotListIsAWarning() async throws {
        try await with { fixture in
            let warnings = try await outcome(fixture, #"{"x": 1}"#, method: "dpo")
            #expect(warnings.count == 1 && warnings[0].contains("lists nothing for the method 'dpo'"))
        }
    }

    @Test func whereNoPythonIsFoundThatIsSaid() async throws {
        try await ServiceFixture.with { fixture in
            let warnings = try await outcome(fixture, #"{"x": 1}"#)
            #expect(warnings.count == 1 && warnings[0].contains("set 'python' and 'trainer' in the configuration"))
        }
    }

    @Test func specsWithoutArgumentsDoNotWaitForTheTrainer() async throws {
        try await with(script: "while [ ! -e $PYTHONPATH/go ]; do sleep 0.05; done; cat $PYTHONPATH/answer") { fixture in
            async let held = outcome(fixture, #"{"neftune_noise_alfa": 1}"#)
            while try timesAsked(fixture) == 0 { await Task.yield() }
            #expect(try await fixture.service.submit(request(fixture, "{}")).jobs.count == 2)
            try "".write(toFile: fixture.folder + "/go", atomically: true, encoding: .utf8)
            #expect(try await held == Self.misspelt)
        }
    }

    @Test func aTrainerThatHangsIsGivenUp() async throws {
        #expect(ServiceLimits.trainArgumentSecondsMax < 120, "clients wait so long")
        try await with(script: "exec sleep 600") { fixture in
            let lists = await LoopActor.run { TrainArgumentLists(fixture.service.configuration, timeout: .seconds(1)) }
            lists.ask()
            guard case .unavailable(let reason) = lists.knowledge(of: "sft") else { Issue.record("it has an answer"); return }
            #expect(reason == "the trainer did not list its arguments within 1 s")
        }
    }

    @Test(arguments: [0, 1]) func aListMayBeSoLongAndNoLonger(extra: Int) async throws {
        try await with { fixture in
            let answer = try Self.answer(fixture.folder)
            let blank = String(repeating: " ", count: ServiceLimits.trainArgumentBytesMax - answer.utf8.count + extra)
            try (answer + blank).write(toFile: fixture.folder + "/answer", atomically: true, encoding: .utf8)
            #expect(try await outcome(fixture, #"{"neftune_noise_alpha": 1}"#).isEmpty == (extra == 0))
        }
    }
}
