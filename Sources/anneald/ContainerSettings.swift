import Glibc
import Specification

/// How containers are run here: by what the configuration file says, else by the first runtime that is found.
enum ContainerSettings {
    static func read(_ document: SpecDocument, path: String) throws(SettingsError) -> ContainerConfiguration {
        switch ContainerDocument.read(document, find: find) {
        case .failure(let errors): throw SettingsError(message: "\(path): \(errors)")
        case .success(let configuration): return configuration ?? found
        }
    }

    /// The first runtime in PATH, if there is one.
    private static var found: ContainerConfiguration {
        var configuration = ContainerConfiguration()
        for runtime in [ContainerRuntime.podman, .docker, .apptainer] {
            guard let path = find(runtime.program) else { continue }
            (configuration.runtime, configuration.program) = (runtime, path)
            configuration.gpus = .usual(of: runtime)
            break
        }
        return configuration
    }

    /// The path of a program in PATH.
    private static func find(_ program: String) -> String? {
        let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return search.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}
