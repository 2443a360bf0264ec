import Domain
import JSON

/// The mapping `containers` of the daemon's configuration, and that of each of its clusters.
public enum ContainerDocument {
    /// Reads the daemon's own; `nil` where the configuration says nothing. Tells everything that is wrong with it.
    ///
    /// - Parameter find: the path of a program in PATH.
    public static func read(
        _ document: SpecDocument, find: (String) -> String?
    ) -> Result<ContainerConfiguration?, SpecErrors> {
        let base = JSONPointer(["containers"])
        guard let value = document.value["containers"], !value.isNull else { return .success(nil) }
        let diagnostics = Diagnostics(document: document)
        var configuration = check(value, base, diagnostics)
        if !configuration.program.hasPrefix("/") {
            if let path = find(configuration.program) {
                configuration.program = path
            } else {
                let key = value["program"] == nil ? "runtime" : "program"
                diagnostics.add(.badValue, at: base / key, "there is no '\(configuration.program)' in PATH; name its path as 'program'")
            }
        }
        if let errors = diagnostics.result { return .failure(errors) }
        return .success(configuration)
    }

    /// Those of the clusters, by the clusters' names. Their programs are looked up by the nodes. What is wrong with them, the check of
    /// the clusters tells.
    public static func ofClusters(_ document: SpecDocument) -> [String: ContainerConfiguration] {
        let values = (document.value["clusters"]?.object ?? [:]).compactMapValues { $0["containers"] }.filter { $0.value.object != nil }
        return values.reduce(into: [:]) { $0[$1.key] = configuration($1.value) }
    }

    /// Checks the mapping of one cluster beside the table of its keys.
    static func checkMounts(_ value: JSONValue?, _ base: JSONPointer, _ diagnostics: Diagnostics) {
        for (index, mount) in (value?["mounts"]?.array ?? []).enumerated() {
            guard let text = mount.string, !text.isEmpty, ContainerTerms.Mount(text) == nil else { continue }
            diagnostics.add(
                .badValue, at: base / "mounts" / index, "must be PATH, PATH:TARGET or PATH:TARGET:ro with absolute paths, not '\(text)'")
        }
    }

    private static func check(_ value: JSONValue, _ base: JSONPointer, _ diagnostics: Diagnostics) -> ContainerConfiguration {
        let world = World(PlanContext(baseDirectory: nil, pathExists: { _ in nil }, artifactExists: { _ in false }))
        var check = SchemaCheck(world: world, diagnostics: diagnostics, base: base)
        var checked = value
        check.check(&checked, as: .object(ParameterSchema.containers), at: JSONPointer())
        checkMounts(value, base, diagnostics)
        return configuration(checked)
    }

    private static func configuration(_ value: JSONValue) -> ContainerConfiguration {
        var configuration = ContainerConfiguration()
        let runtime = value["runtime"]?.string.flatMap(ContainerRuntime.init) ?? .podman
        (configuration.runtime, configuration.isConfigured) = (runtime, true)
        configuration.program = value["program"]?.string ?? runtime.program
        configuration.options = texts(value["options"])
        configuration.runOptions = texts(value["run_options"])
        configuration.gpus = value["gpus"]?.string.flatMap(ContainerConfiguration.GPUHandover.init) ?? .usual(of: runtime)
        configuration.usesInit = value["init"]?.bool ?? true
        configuration.limitsMemory = value["limit_memory"]?.bool ?? true
        if let shm = value["shm"] { configuration.shmBytes = Quantity.bytes(shm) }
        configuration.ulimits = (value["ulimits"]?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.int }
        configuration.mounts = texts(value["mounts"]).compactMap(ContainerTerms.Mount.init)
        return configuration
    }

    private static func texts(_ value: JSONValue?) -> [String] { (value?.array ?? []).map { $0.string ?? $0.description } }
}
