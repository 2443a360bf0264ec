import Domain
import Glibc
import Specification

/// Where secrets are looked for, in this order: the file, the folder of systemd credentials, the daemon's own environment.
public struct SecretConfiguration: Sendable {
    /// Which variables of the daemon's environment are secrets that jobs may name.
    public enum Environment: Sendable, Equatable {
        case any
        case names(Set<String>)
    }

    /// A file of `NAME=value` lines that its owner alone may read; `nil` for none.
    public var file: String?
    /// The folder in which systemd hands over credentials, one file for each; `nil` for none.
    public var credentialsDirectory: String?
    public var environment: Environment

    public init(file: String? = nil, credentialsDirectory: String? = nil, environment: Environment = .any) {
        (self.file, self.credentialsDirectory, self.environment) = (file, credentialsDirectory, environment)
    }
}

/// Looks secrets up, and keeps the values it has seen in memory, so that they are known where text is to be shown.
///
/// Everything is read anew each time: a secret that was changed holds for the next start. Calls block.
final class SecretSource: Sendable {
    private let configuration: SecretConfiguration
    private let seen = SeenSecrets()

    init(_ configuration: SecretConfiguration) { self.configuration = configuration }

    /// The values of these secrets. Throws where one is missing, saying how to give it.
    func values(of names: [String]) throws(ServiceError) -> [(name: String, value: String)] {
        guard !names.isEmpty else { return [] }
        let stored = try storedSecrets()
        var values: [(name: String, value: String)] = []
        var bytes = 0
        for name in names {
            var found = stored[name]
            if found == nil { found = try credential(name) }
            guard let value = found ?? variable(name) else {
                throw ServiceError(.notFound, "there is no secret '\(name)': \(advice(for: name))")
            }
            bytes += name.utf8.count + value.utf8.count
            guard bytes <= ServiceLimits.secretBytesMax else {
                throw ServiceError(.tooLarge, "the secrets of a job may have \(ServiceLimits.secretBytesMax) bytes together")
            }
            values.append((name, value))
        }
        seen.add(values.map(\.value))
        return values
    }

    /// Why these secrets cannot be had, by name; empty where all can.
    func problems(with names: [String]) -> [(name: String, problem: String)] {
        names.compactMap { name in
            do throws(ServiceError) {
                _ = try values(of: [name])
                return nil
            } catch {
                return (name, error.detail)
            }
        }
    }

    /// What hides every value that is known now or was since the daemon began.
    ///
    /// - Parameter names: secrets of the job whose text is shown, which may come from the environment.
    func mask(for names: [String] = []) -> SecretMask {
        // A source that cannot be read hides what was seen of it before.
        if let stored = try? storedSecrets() { seen.add(Array(stored.values)) }
        for name in names { _ = try? values(of: [name]) }  // one that is gone was seen before, or by an earlier daemon
        return SecretMask(values: seen.all)
    }

    /// The same for a JSON document.
    func maskOfJSON() -> SecretMask {
        if let stored = try? storedSecrets() { seen.add(Array(stored.values)) }  // as above
        return SecretMask(inJSON: seen.all)
    }

    /// What hides the values that were seen since the daemon began; reads no file.
    func maskOfSeen() -> SecretMask { SecretMask(values: seen.all) }

    /// What is wrong with the file of secrets, for the self-examination; `nil` where there is none configured or all is well.
    func complaint() -> String? {
        do throws(ServiceError) {
            let stored = try storedSecrets()
            let short = stored.filter { $0.value.utf8.count < SecretMask.bytesMin }.keys.sorted()
            guard !short.isEmpty else { return nil }
            return "\(short.joined(separator: ", ")): shorter than \(SecretMask.bytesMin) bytes, too short to be hidden in logs"
        } catch {
            return error.detail
        }
    }

    /// The names that can be had from files, for the self-examination.
    func names() -> [String] {
        let stored = (try? storedSecrets())?.keys.map { $0 } ?? []  // told by `complaint`
        return (stored + credentialNames()).sorted()
    }

    private func advice(for name: String) -> String {
        var places: [String] = []
        if let file = configuration.file { places.append("write a line \(name)=… into \(file)") }
        if configuration.credentialsDirectory != nil { places.append("give the service LoadCredential=\(name):…") }
        switch configuration.environment {
        case .any: places.append("start the daemon with it in its environment")
        case .names(let names) where names.contains(name): places.append("start the daemon with it in its environment")
        case .names: break
        }
        if configuration.file == nil { places.append("name a file by 'secrets' in the daemon's configuration") }
        return places.joined(separator: ", or ")
    }

    private func storedSecrets() throws(ServiceError) -> [String: String] {
        guard let path = configuration.file else { return [:] }
        return try SecretFile.read(path)
    }

    private func credential(_ name: String) throws(ServiceError) -> String? {
        guard let folder = configuration.credentialsDirectory else { return nil }
        let path = folder + "/" + name
        guard access(path, F_OK) == 0 else { return nil }
        // systemd guards the folder: its files may be readable by a group that has the service's user alone.
        let bytes = try SecretFile.content(of: path, isGuarded: true)
        guard let value = SecretFile.text(bytes) else { throw ServiceError(.unavailable, "\(path) is no text") }
        return value.hasSuffix("\n") ? String(value.dropLast()) : value
    }

    private func credentialNames() -> [String] {
        guard let folder = configuration.credentialsDirectory else { return [] }
        // A folder that cannot be listed has no names to tell.
        return ((try? Folders.names(in: folder)) ?? []).filter(NameRule.variable.matches)
    }

    private func variable(_ name: String) -> String? {
        if case .names(let names) = configuration.environment, !names.contains(name) { return nil }
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }
}
