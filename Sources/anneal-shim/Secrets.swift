import CPosix
import Glibc
import JSON

/// Variables whose values spec.json must not hold. They come through a file in memory that the maker passes, else through the file
/// `secrets` of the attempt's folder, which goes as soon as it is read: the worker's environment is the one place where they stay.
struct Secrets {
    private static let fileName = "secrets"
    private static let bytesMax = 4 << 20

    private var values: [(key: String, value: String)] = []

    /// Reads the secrets of these names. What else was handed over is dropped.
    static func take(_ names: [String], from descriptor: Int32?) throws(StartError) -> Secrets {
        if let descriptor { _ = cposix_set_close_on_exec(descriptor, true) }
        defer { if let descriptor { close(descriptor) } }
        guard !names.isEmpty else { return Secrets() }
        let bytes = try read(descriptor)
        guard let members = (try? JSONParser.parse(bytes))?.object else {  // no detail: it could quote a value
            throw StartError(step: "secrets", message: "the secrets were handed over in a form that this supervisor cannot read")
        }
        var secrets = Secrets()
        for name in names {
            guard let value = members[name]?.string, !value.utf8.contains(0) else {
                throw StartError(step: "secrets", message: "the secret '\(name)' was not handed over to the supervisor")
            }
            secrets.values.append((name, value))
        }
        return secrets
    }

    private static func read(_ descriptor: Int32?) throws(StartError) -> [UInt8] {
        // The descriptor is reopened by its name, so that one reader serves both.
        let name = descriptor.map { "/proc/self/fd/\($0)" } ?? fileName
        let bytes = readFile(name, at: AT_FDCWD, limit: bytesMax)
        let errorNumber = errno
        if descriptor == nil, unlink(fileName) != 0, errno != ENOENT {
            throw StartError(step: "secrets", doing: "remove the file of secrets", errorNumber: errno)
        }
        guard let bytes else { throw StartError(step: "secrets", doing: "read the secrets", errorNumber: errorNumber) }
        return bytes
    }

    /// The environment with the secrets in it, which go before other values of their names.
    func added(to environment: [(key: String, value: String)]) -> [(key: String, value: String)] {
        let names = Set(values.map(\.key))
        return environment.filter { !names.contains($0.key) } + values
    }
}
