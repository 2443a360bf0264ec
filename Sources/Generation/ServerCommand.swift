import Domain
import Glibc
import JSON

/// How to start a model server.
public struct ServerCommand: Sendable {
    public var engine: ServerEngine
    /// Path of the program; where there is none, where it was looked for first.
    public var executable: String
    /// A folder with a model in Hugging Face's format, or a file for `llama-server`.
    public var model: String
    /// The engine's flags, by name without dashes; `true` gives the bare flag and `false` leaves it out.
    public var flags: JSONObject
    public var environment: [(name: String, value: String)]
    /// The address that it listens on, in numbers: those who can reach it can ask it.
    public var host = "127.0.0.1"

    /// - Parameters:
    ///   - python: the interpreter of the environment in which the engine is installed; the engine's program lies beside it, else in the
    ///     PATH of `environment`.
    ///   - flags: further flags of the engine, by name without dashes; `true` gives the bare flag and `false` leaves it out.
    ///   - usesGPU: whether the server may use the GPUs of this process's environment.
    ///   - environment: the server's whole environment.
    public init(
        engine: ServerEngine, python: String?, model: String, flags: JSONObject = [:], usesGPU: Bool,
        environment: [(name: String, value: String)]
    ) {
        self.engine = engine
        self.model = model
        self.environment = environment
        var own: JSONObject = [:]
        if engine == .transformers, flags["device"] == nil { own["device"] = usesGPU ? "cuda" : "cpu" }
        self.flags = own.merging(flags) { $1 }
        executable = Self.find(engine.template.program, python: python, path: environment.last { $0.name == "PATH" }?.value ?? "")
    }

    /// The program beside the interpreter, else in the path, else where it should lie.
    private static func find(_ program: ServerEngine.Program, python: String?, path: String) -> String {
        switch program {
        case .module: return python ?? "python3"
        case .named(let name):
            let beside = python.flatMap { python in python.lastIndex(of: "/").map { String(python[...$0]) + name } }
            let candidates = [beside].compactMap { $0 } + path.split(separator: ":").map { $0 + "/" + name }
            return candidates.first { access($0, X_OK) == 0 } ?? candidates.first ?? name
        }
    }

    /// Where a server on `port` answers, without a path.
    func baseURL(port: Int) -> String { "http://\(host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host):\(port)" }

    /// The whole argument list for a server on `port`.
    func argv(port: Int) -> [String] {
        let start = engine.template.arguments.map { $0 == ServerEngine.modelPlace ? model : $0 }
        return [executable] + start + ["--host", host, "--port", String(port)] + flags.flatMap(Self.arguments)
    }

    private static func arguments(name: String, value: JSONValue) -> [String] {
        switch value {
        case .bool(let isSet): isSet ? ["--\(name)"] : []
        case .string(let text): ["--\(name)", text]
        case .array(let list): ["--\(name)"] + list.map { $0.string ?? $0.text() }
        default: ["--\(name)", value.text()]
        }
    }

    /// What is said where there is no such program.
    var absence: String {
        "there is no program \(executable): install \(engine.rawValue) (\(engine.template.installation)) beside ANNEAL_PYTHON or in the PATH, "
            + "or give 'server.url'"
    }

    // MARK: The model's name

    /// What requests call the model.
    public var requestName: String { modelNames[0] }

    /// What the server may call the model, the likeliest first.
    var modelNames: [String] {
        let given = engine.template.aliasFlag.flatMap { alias in flags.first { Self.canonical($0.key) == alias }?.value }
        if let names = given?.array?.compactMap(\.string) ?? given?.string.map({ [$0] }), !names.isEmpty { return names }
        let names = [model, Self.lastPart(of: model)]
        return engine.template.listsLastPart ? names.reversed() : names
    }

    private static func lastPart(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Flags are written with `-` or with `_` between their words.
    private static func canonical(_ flag: String) -> String { String(flag.map { $0 == "_" ? "-" : $0 }) }

    // MARK: Less memory

    /// The same server with fewer requests at once, and which limit that is; `nil` where it has no limit that could be lower.
    func lowered() -> (command: ServerCommand, limit: String)? {
        guard let flag = engine.template.limitFlag else { return nil }
        var command = self
        let given = flags.first { Self.canonical($0.key) == Self.canonical(flag) }
        let limit: Int
        if let number = given?.value.int ?? given?.value.string.flatMap({ Int($0) }) {
            guard number > 1 else { return nil }
            limit = number / 2
        } else {
            limit = engine.template.limitAfterOutOfMemory
        }
        command.flags[given?.key ?? flag] = .int(Int64(limit))
        return (command, "--\(given?.key ?? flag) \(limit)")
    }
}

/// Why there is no model server.
public struct ServerFailure: Error, Sendable, CustomStringConvertible {
    public var message: String
    /// The last lines that the server wrote.
    public var logTail: String
    /// The kind of memory that the server ran out of; `nil` where it ended for another reason.
    public var outOfMemory: OutOfMemory?

    public init(message: String, logTail: String = "", outOfMemory: OutOfMemory? = nil) {
        self.message = message
        self.logTail = logTail
        self.outOfMemory = outOfMemory
    }

    public var description: String { logTail.isEmpty ? message : message + "; its last lines:\n" + logTail }
}
