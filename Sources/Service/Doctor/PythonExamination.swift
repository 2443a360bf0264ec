import APITypes
import Glibc
import JSON
import Supervision

/// The Python that trains: which it is, what it has, and whether it can import the trainer. Blocks.
struct PythonExamination: Sendable {
    private static let timeout: Duration = .seconds(20)
    private static let importTimeout: Duration = .seconds(110)
    private static let outputBytesMax = 64 * 1024
    private static let packages = ["torch", "transformers", "trl", "peft", "datasets", "safetensors"]
    private static let inherited = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV"]

    let configuration: ServiceConfiguration

    func checks(isDeep: Bool) -> [DoctorCheck] {
        guard let python = configuration.pythonPath, let trainer = configuration.trainerDirectory else {
            return [
                DoctorCheck(
                    name: "python", ok: false, detail: "no Python with PyTorch was found; train and convert jobs cannot run",
                    advice: "run 'anneal-setup-python' of the package, or set 'python' and 'trainer' in the configuration")
            ]
        }
        guard access(python, X_OK) == 0 else {
            let advice = "run 'anneal-setup-python' of the package, or set 'python' in the configuration"
            return [DoctorCheck(name: "python", ok: false, detail: "\(python) cannot be executed", advice: advice)]
        }
        var checks = [versions(python, trainer)]
        if isDeep { checks.append(importing(python, trainer)) }
        return checks
    }

    private func versions(_ python: String, _ trainer: String) -> DoctorCheck {
        let program = """
            import importlib.metadata as m, json, platform, sys
            def v(n):
                try: return m.version(n)
                except m.PackageNotFoundError: return None
            print(json.dumps({"python": platform.python_version(), "packages": {n: v(n) for n in sys.argv[1:]}}))
            """
        switch run(python, ["-c", program] + Self.packages, trainer, Self.timeout) {
        case .failure(let problem):
            return DoctorCheck(name: "python", ok: false, detail: "\(python) \(problem.reason)", advice: "make its environment anew")
        case .success(let document):
            let found = document["packages"]?.object ?? [:]
            let missing = Self.packages.filter { found[$0]?.string == nil }
            let listed = Self.packages.compactMap { name in found[name]?.string.map { "\(name) \($0)" } }
            let detail = (["\(python) \(document["python"]?.string ?? "?")"] + listed + ["trainer in \(trainer)"]).joined(separator: ", ")
            guard !missing.isEmpty else { return DoctorCheck(name: "python", ok: true, detail: detail) }
            return DoctorCheck(
                name: "python", ok: false, detail: "\(detail); \(missing.joined(separator: ", ")) missing",
                advice: "\(python) -m pip install \(missing.joined(separator: " "))")
        }
    }

    private func importing(_ python: String, _ trainer: String) -> DoctorCheck {
        let program = """
            import json, time
            t = time.monotonic()
            import torch, transformers, trl, anneal_trainer.training
            gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
            print(json.dumps({"seconds": round(time.monotonic() - t, 1), "cuda": torch.version.cuda, "gpus": gpus}))
            """
        switch run(python, ["-c", program], trainer, Self.importTimeout) {
        case .failure(let problem):
            return DoctorCheck(
                name: "trainer", ok: false, detail: "the trainer's import \(problem.reason)",
                advice: "run: PYTHONPATH=\(trainer) \(python) -c 'import trl, anneal_trainer.training'")
        case .success(let document):
            let cuda = document["cuda"]?.string.map { "CUDA \($0), \(document["gpus"]?.int ?? 0) GPUs" } ?? "no CUDA"
            return DoctorCheck(
                name: "trainer", ok: true, detail: "imported in \(document["seconds"]?.double ?? 0) s; PyTorch has \(cuda)")
        }
    }

    private struct Problem: Error {
        var reason: String
    }

    /// Runs Python and reads the last line of what it prints as JSON.
    private func run(_ python: String, _ arguments: [String], _ trainer: String, _ timeout: Duration) -> Result<JSONValue, Problem> {
        let own = Self.inherited.compactMap { name in getenv(name).map { (name: name, value: String(cString: $0)) } }
        do {
            let (bytes, ending) = try ProgramOutput.run(
                [python] + arguments, environment: own + [(name: "PYTHONPATH", value: trainer), (name: "HF_HUB_OFFLINE", value: "1")],
                timeout: timeout, bytesMax: Self.outputBytesMax)
            switch ending {
            case .timeout: return .failure(Problem(reason: "took more than \(timeout.components.seconds) s"))
            case .tooLong: return .failure(Problem(reason: "printed more than \(Self.outputBytesMax) bytes"))
            case .signal(let signal): return .failure(Problem(reason: "was ended by signal \(signal)"))
            case .exit(let code) where code != 0: return .failure(Problem(reason: "ended with exit code \(code)"))
            case .exit:
                let line = bytes.split(separator: UInt8(ascii: "\n")).last
                return try line.map { .success(try JSONParser.parse(Array($0))) } ?? .failure(Problem(reason: "printed nothing"))
            }
        } catch {
            return .failure(Problem(reason: "failed: \(error)"))
        }
    }
}
