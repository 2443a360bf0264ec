import JSON
import Supervision

/// How a container ended, as its runtime told before it was removed.
struct ContainerState: Sendable, Equatable {
    /// The file of the attempt's folder that the shim has the runtime's answer written to.
    static let fileName = "container.json"
    private static let bytesMax = 65_536

    /// False where the program of the image never ran.
    var hasStarted: Bool
    var isOutOfMemory: Bool

    /// Reads `State` as podman and docker write it; `nil` where it is none.
    init?(_ bytes: [UInt8]) {
        guard let document = try? JSONParser.parse(bytes), let started = document["StartedAt"]?.string else { return nil }  // no container
        hasStarted = !started.hasPrefix("0001-")
        isOutOfMemory = document["OOMKilled"]?.bool ?? false
    }

    /// Reads it from an attempt's folder; `nil` where there was no container. Blocks.
    static func read(_ directory: String) throws -> ContainerState? {
        try Folders.tail(of: directory + "/" + fileName, limit: bytesMax).flatMap(ContainerState.init)
    }
}

/// What the end of the runtime's client says of the worker within.
struct ContainerEnd {
    let runtime: String
    let image: String
    let state: ContainerState?

    /// Why the container could not be started, or `nil` where the program ran.
    ///
    /// podman-run(1) and docker-run(1): 125 is a failure of the runtime itself, 126 a program that cannot be executed, 127 one that is not
    /// there. The program may end with any of them, too: the container's state tells whether it has run.
    func startError(exitCode: Int32?, stderrTail: String) -> String? {
        let last = stderrTail.split(separator: "\n").last
        let words = last.map { ": \($0)" } ?? ""
        if let last, exitCode != 0, Self.isFailureOfInit(last) { return "the program cannot be run in the image '\(image)'\(words)" }
        guard let exitCode, (125...127).contains(exitCode), state?.hasStarted != true else { return nil }
        switch exitCode {
        case 126: return "the program cannot be executed in the image '\(image)'\(words)"
        case 127: return "the program is not in the image '\(image)'\(words)"
        default: return "\(runtime) could not make a container of '\(image)'\(words)"
        }
    }

    /// The first process within has begun where there is one beside the program, and says itself that it cannot run that: `catatonit` of
    /// podman with code 1 and "ERROR (catatonit:2): failed to exec pid1: …", `tini` of docker as "[FATAL tini (7)] exec … failed: …".
    private static func isFailureOfInit(_ line: Substring) -> Bool {
        line.hasPrefix("ERROR (catatonit") && line.contains("exec") || line.hasPrefix("[FATAL tini") && line.contains("exec")
    }

    /// The signal that ended the program within, which clients tell as 128 and its number.
    func signal(exitCode: Int32?) -> Int32? {
        guard let exitCode, state?.hasStarted == true, (129...128 + 64).contains(exitCode) else { return nil }
        return exitCode - 128
    }
}
