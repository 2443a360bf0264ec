import EventLoop
import Glibc
import JSON
import Specification
import Supervision
import Synchronization

/// What the installed trainer takes as `args` beyond its parameters, for each method.
///
/// The trainer is asked once, since it takes Python seconds to say it, and its answer is kept in a file of the data folder. The answer
/// names the files of TRL, transformers and the trainer that it was made from: it holds until one of them is another.
final class TrainArgumentLists: Sendable {
    /// What is known of a method.
    enum Knowledge {
        case list(TrainArguments)
        /// The trainer has not been asked, or what it said holds no longer.
        case unasked
        /// Why there is no list, in words that say what to do.
        case unavailable(String)
    }

    /// One answer of the trainer.
    private struct Listing: Sendable {
        struct File: Sendable {
            var path: String
            var modifiedNanoseconds: Int
            var bytes: Int
        }

        var files: [File]
        var methods: [String: TrainArguments]

        /// Reads what `python -m anneal_trainer.arguments` prints; `nil` for anything else.
        init?(_ answer: JSONValue) {
            guard let files = answer["files"]?.array, !files.isEmpty, let methods = answer["methods"]?.object else { return nil }
            self.files = files.compactMap { file in
                guard let path = file["path"]?.string, let time = file["modified_ns"]?.int, let bytes = file["bytes"]?.int else {
                    return nil
                }
                return File(path: path, modifiedNanoseconds: time, bytes: bytes)
            }
            let lists = methods.compactMap { method in TrainArguments(listing: method.value).map { (method.key, $0) } }
            self.methods = Dictionary(lists, uniquingKeysWith: { first, _ in first })
            guard self.files.count == files.count, self.methods.count == methods.count else { return nil }
        }

        var holds: Bool {
            files.allSatisfy { file in
                var status = stat()
                guard stat(file.path, &status) == 0 else { return false }
                let time = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
                return time == file.modifiedNanoseconds && Int(status.st_size) == file.bytes
            }
        }
    }

    private struct State {
        var listing: Listing?
        /// Why the last question had no answer, and when that was.
        var failure: (reason: String, nanoseconds: UInt64)?
        var isFileRead = false
    }

    /// Where in the data folder the trainer's answer is kept.
    static let fileName = "train-arguments.json"

    private let python: String?
    private let trainer: String?
    private let path: String
    private let timeout: Duration
    private let state = Mutex(State())

    init(_ configuration: ServiceConfiguration, timeout: Duration = .seconds(ServiceLimits.trainArgumentSecondsMax)) {
        (python, trainer) = (configuration.pythonPath, configuration.trainerDirectory)
        path = configuration.dataDirectory + "/" + Self.fileName
        self.timeout = timeout
    }

    /// What is known now, without asking the trainer. Looks at files, which blocks.
    func knowledge(of method: String) -> Knowledge {
        guard python != nil, trainer != nil else {
            return .unavailable("no Python with the anneal_trainer package was found; set 'python' and 'trainer' in the configuration")
        }
        return state.withLock { state in
            if !state.isFileRead {
                state.isFileRead = true
                state.listing = stored()
            }
            if let listing = state.listing, listing.holds {
                return listing.methods[method].map(Knowledge.list) ?? .unavailable("the trainer lists nothing for the method '\(method)'")
            }
            guard let failure = state.failure, failure.nanoseconds + Self.retryNanoseconds > SystemTime.monotonicNanoseconds() else {
                return .unasked
            }
            return .unavailable(failure.reason)
        }
    }

    /// Asks the trainer, which takes it seconds; `knowledge` has the answer. Blocks.
    func ask() {
        guard let python, let trainer else { return }
        let outcome = Self.answer(python: python, trainer: trainer, timeout: timeout)
        if case .success(let (bytes, _)) = outcome { keep(bytes, python: python, trainer: trainer) }
        state.withLock { state in
            state.isFileRead = true
            switch outcome {
            case .success((_, let listing)): (state.listing, state.failure) = (listing, nil)
            case .failure(let refusal): (state.listing, state.failure) = (nil, (refusal.reason, SystemTime.monotonicNanoseconds()))
            }
        }
    }

    private struct Refusal: Error {
        var reason: String
    }

    private static let retryNanoseconds = UInt64(ServiceLimits.trainArgumentRetrySeconds) * 1_000_000_000
    /// What the program keeps of the daemon's own variables.
    private static let inherited = ["PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR"]

    private static func answer(python: String, trainer: String, timeout: Duration) -> Result<(JSONValue, Listing), Refusal> {
        let own = inherited.compactMap { name in getenv(name).map { (name: name, value: String(cString: $0)) } }
        // Names and types are looked at; no GPU is, and no network.
        let variables = [("PYTHONPATH", trainer), ("CUDA_VISIBLE_DEVICES", ""), ("HF_HUB_OFFLINE", "1")]
        do {
            let (bytes, ending) = try ProgramOutput.run(
                [python, "-m", "anneal_trainer.arguments"], environment: own + variables.map { (name: $0.0, value: $0.1) },
                timeout: timeout, bytesMax: ServiceLimits.trainArgumentBytesMax)
            switch ending {
            case .timeout: return .failure(Refusal(reason: "the trainer did not list its arguments within \(timeout.components.seconds) s"))
            case .tooLong:
                return .failure(Refusal(reason: "the trainer's list is longer than \(ServiceLimits.trainArgumentBytesMax) bytes"))
            case .signal(let signal):
                return .failure(Refusal(reason: "signal \(signal) ended the trainer when it was to list its arguments"))
            case .exit(let code):
                // What is no JSON comes of another program, and is told by its exit code.
                let document = try? JSONParser.parse(bytes)
                if let document, let listing = Listing(document) { return .success((document, listing)) }
                let reason = document?["error"]?.string ?? "'\(python) -m anneal_trainer.arguments' ended with exit code \(code)"
                return .failure(Refusal(reason: "the trainer cannot list its arguments: \(reason)"))
            }
        } catch {
            return .failure(Refusal(reason: "the trainer cannot list its arguments: \(error)"))
        }
    }

    /// The answer that an earlier daemon got of the same trainer; `nil` where there is none.
    private func stored() -> Listing? {
        // What cannot be read is asked for again.
        guard let bytes = try? Folders.tail(of: path, limit: 2 * ServiceLimits.trainArgumentBytesMax) else { return nil }
        // The same holds here.
        guard let document = try? JSONParser.parse(bytes), document["python"]?.string == python, document["trainer"]?.string == trainer
        else {
            return nil
        }
        return document["answer"].flatMap(Listing.init)
    }

    private func keep(_ answer: JSONValue, python: String, trainer: String) {
        let document: JSONValue = ["python": .string(python), "trainer": .string(trainer), "answer": answer]
        // Without the file the next daemon asks once more.
        try? Folders.write(JSONWriter().bytes(of: document), to: path)
    }
}
