import Glibc
import JSON

/// How to start a model server.
public struct ServerCommand: Sendable {
    /// The programs that Anneal can start as a model server.
    public enum Engine: String, Sendable, CaseIterable {
        case transformers
        case vllm
    }

    public var engine: Engine
    /// Path of the program.
    public var executable: String
    /// A folder with a model in Hugging Face's format.
    public var model: String
    /// Further arguments, without host and port.
    public var arguments: [String]
    public var environment: [(name: String, value: String)]

    /// - Parameters:
    ///   - python: the interpreter of the environment in which the engine is installed; the engine's program lies beside it.
    ///   - flags: further flags of the engine, by name without dashes; `true` gives the bare flag and `false` leaves it out.
    ///   - usesGPU: whether the server may use the GPUs of this process's environment.
    ///   - environment: the server's whole environment.
    public init(
        engine: Engine, python: String, model: String, flags: JSONObject = [:], usesGPU: Bool, environment: [(name: String, value: String)]
    ) {
        self.engine = engine
        self.model = model
        self.environment = environment
        let folder = python.lastIndex(of: "/").map { String(python[...$0]) } ?? ""
        executable = folder + engine.rawValue
        var arguments: [String] = []
        if engine == .transformers, flags["device"] == nil { arguments += ["--device", usesGPU ? "cuda" : "cpu"] }
        for (name, value) in flags { arguments += Self.arguments(name: name, value: value) }
        self.arguments = arguments
    }

    private static func arguments(name: String, value: JSONValue) -> [String] {
        switch value {
        case .bool(let isSet): isSet ? ["--\(name)"] : []
        case .string(let text): ["--\(name)", text]
        case .array(let list): ["--\(name)"] + list.map { $0.string ?? $0.text() }
        default: ["--\(name)", value.text()]
        }
    }

    /// The whole argument list for a server on `port` of the loopback address.
    func argv(port: Int) -> [String] {
        [executable, "serve", model, "--host", "127.0.0.1", "--port", String(port)] + arguments
    }
}

/// Why there is no model server.
public struct ServerFailure: Error, Sendable, CustomStringConvertible {
    public var message: String
    /// The last lines that the server wrote.
    public var logTail: String

    public init(message: String, logTail: String = "") {
        self.message = message
        self.logTail = logTail
    }

    public var description: String { logTail.isEmpty ? message : message + "; its last lines:\n" + logTail }
}
