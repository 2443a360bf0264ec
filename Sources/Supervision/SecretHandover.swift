import CPosix
import Glibc
import JSON

/// How secret variables get from the daemon to an attempt's shim. spec.json holds their names alone.
public enum SecretHandover: Sendable, Hashable {
    /// Through a file in memory whose descriptor the shim is born with; for a shim of this machine.
    case descriptor
    /// Through the file `secrets` of the attempt's folder, which the shim removes before its worker runs; for a shim that starts later and
    /// elsewhere, with the folder as the one thing in common. Who withdraws such an attempt calls `remove`.
    case file

    /// The file's name in the attempt's folder.
    static let fileName = "secrets"

    /// What the folder has while secrets wait in it, for whoever copies it.
    public static let fileNames: Set<String> = [fileName, fileName + ".tmp"]

    /// Removes secrets that no shim has taken; nothing happens where there are none. Blocks.
    public static func remove(from directory: String) {
        for name in fileNames { unlink(directory + "/" + name) }
    }

    /// A file in memory that holds the secrets, to be read from its start; `nil` where there are none. The descriptor is the caller's.
    static func descriptor(of launch: AttemptLaunch) throws -> Int32? {
        guard launch.secretHandover == .descriptor, !launch.secrets.isEmpty else { return nil }
        let file = cposix_memory_file("anneal-secrets")
        guard file >= 0 else { throw SupervisionError.system(.spawn, "make a file in memory") }
        let bytes = JSONWriter().bytes(of: document(of: launch))
        guard bytes.withUnsafeBytes({ write(file, $0.baseAddress, $0.count) }) == bytes.count, lseek(file, 0, SEEK_SET) == 0 else {
            let errorNumber = errno
            close(file)
            throw SupervisionError.system(.spawn, "write to a file in memory", errorNumber: errorNumber)
        }
        return file
    }

    /// The secrets as the shim reads them: an object of texts.
    static func document(of launch: AttemptLaunch) -> JSONValue {
        .object(JSONObject(launch.secrets.map { ($0.name, .string($0.value)) }, uniquingKeysWith: { _, last in last }))
    }
}

/// A program that cleans up behind a worker, such as one that removes its container.
public struct CleanUpStep: Sendable, Hashable {
    /// The program, by its path, and its arguments. It has the worker's environment without the secrets.
    public var argv: [String]
    /// The file of the attempt's folder that takes its output; `nil` for shim.log.
    public var output: String?
    /// How often it is run where it fails.
    public var tries: Int

    public init(argv: [String], output: String? = nil, tries: Int = 1) {
        (self.argv, self.output, self.tries) = (argv, output, tries)
    }

    var document: JSONValue {
        ["argv": .array(argv.map(JSONValue.string)), "output": output.map(JSONValue.string) ?? .null, "tries": .int(Int64(tries))]
    }
}
