import Domain
import Glibc
import JSON
import Specification
import Store
import Supervision

/// Turns the launch of a bare worker into that of the same worker in a container.
struct ContainerEnclosure: Sendable {
    /// Variables of the machine that mean nothing within, or something else. The image has its own; a job's spec may set them.
    static let hostOnly: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "CUDA_HOME", "SSL_CERT_FILE",
    ]
    /// What the clients of the runtimes need of the daemon's own environment to find their storage, their keys and their service.
    static let clientVariables =
        hostOnly.sorted() + [
            "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF",
            "REGISTRY_AUTH_FILE", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "APPTAINER_CACHEDIR", "APPTAINER_TMPDIR",
        ]
    /// How long the runtime's own helpers may take to end after the worker; they unmount what it had.
    private static let helperGrace: Duration = .seconds(10)

    /// As the machine sees it that the worker runs on.
    let configuration: ServiceConfiguration
    let terms: ContainerTerms
    /// Where it runs; `nil` for this machine.
    var cluster: ClusterTerms?
    /// False where the GPUs are simulated, which no runtime can hand in.
    let hasDevices: Bool

    /// Encloses an attempt of a job.
    ///
    /// - Parameters:
    ///   - jobVariables: the variables that the job's spec sets.
    ///   - client: reads a variable of the daemon's own environment.
    func enclose(
        _ launch: inout AttemptLaunch, attempt: EnclosedAttempt, jobVariables: [String: String],
        client: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
    ) throws(ServiceError) {
        guard let runtime = configuration.containers.runtime else { throw Self.noRuntime(on: cluster) }
        var values = Dictionary(launch.environment, uniquingKeysWith: { _, last in last })
        values.merge(terms.environment) { _, own in own }
        let own = jobVariables.merging(terms.environment) { _, own in own }.filter { Self.hostOnly.contains($0.key) }
        for name in Self.hostOnly { values[name] = nil }
        values["ANNEAL_PYTHON"] = terms.python ?? "python3"
        let facts = try facts(
            attempt, launch, variables: Array(values.keys) + launch.secrets.map(\.name), own: own,
            caches: [values["HF_HOME"] ?? cluster?.environment["HF_HOME"]].compactMap(\.self))
        let command = ContainerCommand(configuration: configuration.containers, runtime: runtime, terms: terms, facts: facts)
        launch.argv = command.argv(launch.argv)
        // On a cluster the client has those of its node.
        let clientVariables = cluster == nil ? Self.clientVariables : []
        launch.environment =
            clientVariables.compactMap { name in client(name).map { (name, $0) } }
            + values.sorted { $0.key < $1.key }.map { (command.clientName(of: $0.key), $0.value) }
            + command.clientEnvironment.map { ($0.name, $0.value) }
        launch.secrets = launch.secrets.map { (command.clientName(of: $0.name), $0.value) }
        launch.cleanUp = command.cleanUp
        launch.stragglerGrace = Self.helperGrace
    }

    static func noRuntime(on cluster: ClusterTerms?) -> ServiceError {
        if let name = cluster?.name {
            return ServiceError(
                .unresolvedSpec, "nothing runs containers on the cluster '\(name)': set 'containers' of it in the configuration")
        }
        return ServiceError(
            .unresolvedSpec,
            "this machine has no container runtime: install podman, docker or apptainer, or set 'containers' in the daemon's configuration")
    }

    private func facts(
        _ attempt: EnclosedAttempt, _ launch: AttemptLaunch, variables: [String], own: [String: String], caches: [String]
    ) throws(ServiceError) -> ContainerFacts {
        var writable = [launch.directory, configuration.jobDirectory(attempt.jobID)] + caches + attempt.folders
        if terms.workdir == nil { writable.append(launch.workingDirectory) }
        if configuration.workerURL.hasPrefix("unix://") { writable.append(String(configuration.workerURL.dropFirst(7))) }
        let shared: [String] = [configuration.dataDirectory + "/jobs", configuration.datasetsDirectory]
        var readable = shared.filter { access($0, F_OK) == 0 }
        readable += [configuration.trainerDirectory].compactMap(\.self) + attempt.inputs.map(Self.wholeModel(at:))
        if attempt.kind != .command { readable.append(configuration.workerPath) }
        for path in writable + readable where !ContainerTerms.Mount.isPath(path) {
            throw ServiceError(.badRequest, "'\(path)' cannot be seen in a container: its path holds ':', ',' or a quote")
        }
        var facts = ContainerFacts(
            attemptID: attempt.id, dataDirectory: configuration.dataDirectory, workingDirectory: launch.workingDirectory,
            writable: writable, readable: readable, gpus: hasDevices ? attempt.gpus : [], memoryBytes: attempt.memoryBytes,
            user: (geteuid(), getegid()), variables: variables, ownVariables: own)
        facts.node = cluster.map {
            ContainerNode(shimPath: configuration.shimPath, variables: Self.handed($0.environment), cpus: attempt.cpus)
        }
        return facts
    }

    /// The variables of a cluster that mean the same within.
    private static func handed(_ environment: [String: String]) -> [String] {
        environment.keys.filter { !hostOnly.contains($0) }.sorted()
    }

    /// A model in the cache of Hugging Face consists of links to files beside it: the folder that holds both is what must be seen.
    private static func wholeModel(at path: String) -> String {
        let parts = path.split(separator: "/")
        guard let index = parts.lastIndex(of: "snapshots"), index > 0, parts[index - 1].hasPrefix("models--") else { return path }
        return "/" + parts[..<index].joined(separator: "/")
    }
}

/// What an enclosure has to know of an attempt.
struct EnclosedAttempt: Sendable {
    var id: String
    var jobID: String
    var kind: JobKind
    /// What the job consumes.
    var inputs: [String] = []
    /// Further folders that the worker writes to.
    var folders: [String] = []
    var gpus: [String] = []
    var memoryBytes: Int64 = 0
    /// On each node of a cluster.
    var cpus = 1
}
