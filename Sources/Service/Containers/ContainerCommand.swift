import Domain
import Specification
import Supervision

/// What a container must be told of the attempt that runs in it.
struct ContainerFacts: Sendable {
    var attemptID: String
    /// The daemon's data folder, by which leftovers are told from containers of others.
    var dataDirectory: String
    var workingDirectory: String
    /// Paths that the worker writes to, and paths that it only reads; each stands at the same place within.
    var writable: [String]
    var readable: [String]
    /// UUIDs; none for simulated GPUs, which no runtime knows.
    var gpus: [String]
    var memoryBytes: Int64
    var user: (id: UInt32, group: UInt32)
    /// Names of the variables that the worker is to have, secrets among them, and those whose value differs from the client's own.
    var variables: [String]
    var ownVariables: [String: String]
    /// On a cluster: what only the node knows is filled in there. `nil` on this machine.
    var node: ContainerNode?

    /// The name of an attempt's container.
    static func name(of attemptID: String) -> String { "anneal-" + attemptID }
    /// The label that holds the data folder.
    static let dataLabel = "anneal.data"
}

/// What a container must be told of the cluster that runs it.
struct ContainerNode: Sendable {
    /// The program anneal-shim there, which fills in what is left open and becomes the runtime's client.
    var shimPath: String
    /// Variables that the cluster's configuration sets for its workers.
    var variables: [String]
    /// CPUs of the job on each node.
    var cpus: Int

    /// Variables of the allocation and of the way its nodes find each other; a star stands for any ending.
    static let variables = [
        "SLURM_*", "PMI*", "NCCL_*", "UCX_*", "FI_*", "ACCELERATE_*", "PET_*", "MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE",
        "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "NNODES", "ANNEAL_NODE*", "CUDA_VISIBLE_DEVICES",
    ]
}

/// The command line that runs a worker in a container.
///
/// The client of the runtime is the shim's child, with the attempt's logs as its output. Values of variables stay out of the command line:
/// each runtime takes them from the client's own environment.
struct ContainerCommand: Sendable {
    let configuration: ContainerConfiguration
    let runtime: ContainerRuntime
    let terms: ContainerTerms
    let facts: ContainerFacts

    /// The whole command line for `worker`, a program and its arguments within the image.
    ///
    /// On a cluster words in braces are left for `anneal-shim --enter` to fill in; it is told how many words may hold such.
    func argv(_ worker: [String]) -> [String] {
        let client = client
        let line = client + (runtime == .pyxis ? withOwnVariables(worker) : worker)
        guard let node = facts.node else { return line }
        if runtime == .pyxis { return [node.shimPath, "--step"] + line }
        return [node.shimPath, "--enter", String(client.count)] + line
    }

    /// The runtime's program with all its arguments before the worker.
    private var client: [String] {
        switch runtime {
        case .podman, .docker: engineLine
        case .apptainer: apptainerLine
        case .pyxis: pyxisLine
        }
    }

    /// Variables that the client of the runtime needs beside those of the worker, to hand them in.
    var clientEnvironment: [(name: String, value: String)] {
        switch runtime {
        case .podman, .docker, .pyxis: []
        // Within an environment that is otherwise clean.
        case .apptainer: facts.ownVariables.sorted { $0.key < $1.key }.map { ("APPTAINERENV_" + $0.key, $0.value) }
        }
    }

    /// Under which name the client's environment must hold a variable for the worker to get it.
    func clientName(of variable: String) -> String { runtime == .apptainer ? "APPTAINERENV_" + variable : variable }

    /// What removes every trace of the container: its state is kept first, for the words about its end.
    var cleanUp: [CleanUpStep] {
        guard runtime == .podman || runtime == .docker else { return [] }
        let inspect = program + configuration.options + ["container", "inspect", "--format", "{{json .State}}", name]
        return [
            CleanUpStep(argv: inspect, output: ContainerState.fileName),
            // Where the monitor was killed too, podman sees so in the first try and removes the container in the second.
            CleanUpStep(argv: program + Self.removal(of: name, configuration).dropFirst(), tries: 5),
        ]
    }

    /// A name without a path is for the node to look up.
    private var program: [String] { (configuration.program.contains("/") ? [] : ["/usr/bin/env"]) + [configuration.program] }

    static func removal(of name: String, _ configuration: ContainerConfiguration) -> [String] {
        let quick = configuration.runtime == .podman ? ["--time", "0", "--ignore"] : []
        return [configuration.program] + configuration.options + ["rm", "--force"] + quick + [name]
    }

    private var name: String { ContainerFacts.name(of: facts.attemptID) }
    private var workingDirectory: String { terms.workdir ?? facts.workingDirectory }

    // MARK: podman and docker

    private var engineLine: [String] {
        // On further nodes of an allocation the container has the node's number behind its name, and goes by itself.
        var line = [configuration.program] + configuration.options + ["run"] + (facts.node == nil ? ["--name", name] : ["{name:\(name)}"])
        line += ["--label", "\(ContainerFacts.dataLabel)=\(facts.dataDirectory)", "--pull", terms.pull.rawValue]
        // The worker writes to the attempt's logs itself, or at least nothing keeps a second copy of them.
        line += ["--log-driver", runtime == .podman ? "passthrough" : "none"]
        if configuration.usesInit { line.append("--init") }
        line += ["--network", (terms.network ?? .host).rawValue]
        if let bytes = terms.shmBytes ?? configuration.shmBytes { line += ["--shm-size", String(bytes)] }
        for (limit, value) in configuration.ulimits.merging(terms.ulimits, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            line += ["--ulimit", "\(limit)=\(value):\(value)"]
        }
        if configuration.limitsMemory, facts.memoryBytes > 0 { line += ["--memory", String(facts.memoryBytes)] }
        line += user + gpus
        // Files that are mounted keep the labels that they have for others.
        line += ["--security-opt", "label=disable"]
        for mount in mounts {
            line += ["--mount", "type=bind,source=\(mount.source),target=\(mount.target)" + (mount.isReadOnly ? ",readonly" : "")]
        }
        line += ["--workdir", workingDirectory]
        for name in facts.variables.sorted() where facts.ownVariables[name] == nil { line += ["--env", name] }
        for (name, value) in facts.ownVariables.sorted(by: { $0.key < $1.key }) { line += ["--env", "\(name)=\(value)"] }
        if let node = facts.node { line.append("{variables:\(names(node))}") }
        return line + ["--entrypoint", ""] + configuration.runOptions + [terms.image]
    }

    private func names(_ node: ContainerNode) -> String {
        (ContainerNode.variables + node.variables.filter { !facts.variables.contains($0) }.sorted()).joined(separator: ",")
    }

    /// Files that the worker makes belong to the daemon's user.
    private var user: [String] {
        if runtime == .podman, facts.user.id != 0 { return ["--userns", "keep-id"] }
        return ["--user", "\(facts.user.id):\(facts.user.group)"]
    }

    private var gpus: [String] {
        if facts.node != nil {
            switch configuration.gpus {
            case .none: return []
            case .flag where runtime == .docker: return ["{gpus:docker}"]
            default: return ["{gpus:cdi}"]
            }
        }
        guard !facts.gpus.isEmpty else { return [] }
        switch configuration.gpus {
        case .none: return []
        case .flag where runtime == .docker: return ["--gpus", "\"device=\(facts.gpus.joined(separator: ","))\""]
        default: return facts.gpus.flatMap { ["--device", "nvidia.com/gpu=\($0)"] }
        }
    }

    // MARK: apptainer and pyxis

    private var apptainerLine: [String] {
        var line = [configuration.program] + configuration.options + ["exec", "--cleanenv", "--no-home", "--pid"]
        if terms.network == ContainerTerms.Network.none { line += ["--net", "--network", "none"] }
        if configuration.gpus != .none {
            if facts.node != nil { line.append("{gpus:apptainer}") } else if !facts.gpus.isEmpty { line.append("--nv") }
        }
        for mount in mounts { line += ["--bind", Self.triple(mount)] }
        if let node = facts.node { line.append("{apptainer:\(names(node))}") }
        return line + ["--pwd", workingDirectory] + configuration.runOptions + [terms.image]
    }

    /// `srun` where the plug-in pyxis is installed: one task with all that the allocation has on its node; GPUs are handed in by its hook.
    private var pyxisLine: [String] {
        var line = [configuration.program, "--ntasks=1", "--kill-on-bad-exit=1", "--unbuffered"]
        // A step does not take over the CPUs of its batch job by itself.
        if let node = facts.node { line.append("--cpus-per-task=\(node.cpus)") }
        line += configuration.options + ["--container-image=\(terms.image)", "--no-container-mount-home"]
        line.append("--container-mounts=\(mounts.map(Self.triple).joined(separator: ","))")
        line.append("--container-workdir=\(workingDirectory)")
        // Variables of the job come along by themselves; these go before the image's own.
        let names = Set(facts.variables).union(facts.node?.variables ?? [])
        line.append("--container-env=\(names.sorted().joined(separator: ","))")
        return line + configuration.runOptions
    }

    /// Why the runtime cannot do what a job asks for; empty where it can.
    static func shortfalls(of runtime: ContainerRuntime, _ terms: ContainerTerms, nodes: Int) -> [String] {
        var shortfalls: [String] = []
        let name = runtime.rawValue
        let network = terms.network ?? .host
        if runtime == .pyxis && network != .host || runtime == .apptainer && network == .bridge {
            shortfalls.append("\(name) cannot give a container the network '\(network.rawValue)'")
        }
        if runtime == .pyxis || runtime == .apptainer {
            // They share the machine's.
            if terms.shmBytes != nil { shortfalls.append("\(name) has no size of /dev/shm of its own: leave 'shm' out") }
            if !terms.ulimits.isEmpty { shortfalls.append("\(name) sets no limits: leave 'ulimits' out") }
        }
        if runtime == .pyxis, nodes > 1 { shortfalls.append("pyxis runs a worker on one node here: leave 'nodes' out") }
        return shortfalls
    }

    /// `srun` and its tasks share one environment: what is to differ within is set there.
    private func withOwnVariables(_ worker: [String]) -> [String] {
        facts.ownVariables.isEmpty
            ? worker : ["env"] + facts.ownVariables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" } + worker
    }

    private static func triple(_ mount: ContainerTerms.Mount) -> String {
        "\(mount.source):\(mount.target)" + (mount.isReadOnly ? ":ro" : "")
    }

    // MARK: Files

    /// Each path once, those above before those below them. What the worker may write to wins over what it only reads.
    private var mounts: [ContainerTerms.Mount] {
        let writable = facts.writable.map { ContainerTerms.Mount(source: $0, target: $0, isReadOnly: false) }
        let readable = facts.readable.map { ContainerTerms.Mount(source: $0, target: $0, isReadOnly: true) }
        var chosen: [String: ContainerTerms.Mount] = [:]
        for mount in readable + configuration.mounts + writable + terms.mounts { chosen[mount.target] = mount }
        return chosen.values.filter { mount in
            // A path that is seen already, with rights of the same sort, needs no mount of its own.
            !chosen.values.contains { other in
                mount.target.hasPrefix(other.target + "/") && other.source == other.target && mount.source == mount.target
                    && (other.isReadOnly == mount.isReadOnly || !other.isReadOnly)
                    && !Self.isHidden(mount, below: other, among: Array(chosen.values))
            }
        }.sorted { $0.target < $1.target }
    }

    /// True where a third mount stands between the two.
    private static func isHidden(
        _ mount: ContainerTerms.Mount, below outer: ContainerTerms.Mount, among all: [ContainerTerms.Mount]
    ) -> Bool {
        all.contains { $0.target.hasPrefix(outer.target + "/") && mount.target.hasPrefix($0.target + "/") }
    }
}
