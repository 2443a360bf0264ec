import JSON

extension ParameterSchema {
    /// An image's name; a mapping; or `false` for a job that is to run bare in an experiment with a container.
    static let containerTypes: [ValueType] = [.boolean, .text(bytesMax: SpecLimits.imageBytesMax), .object(container)]

    /// The keys of `container`.
    static let container: [ParameterSchema] = [
        ParameterSchema("image", .text(bytesMax: SpecLimits.imageBytesMax), "The image, as the machine's container runtime names it."),
        ParameterSchema(
            "mounts", .list(.text(bytesMax: 2 * SpecLimits.pathBytesMax + 4), count: 0...SpecLimits.mountsMax),
            "Further files and folders of the machine: PATH, PATH:TARGET or PATH:TARGET:ro; each path absolute."),
        ParameterSchema(
            "workdir", .text(bytesMax: SpecLimits.pathBytesMax),
            "The folder within the container; without it the job's own, which is mounted."),
        ParameterSchema("env", .map(keys: .variable, .scalar), "Environment variables that hold within the container alone."),
        ParameterSchema(
            "shm", .memory, "The size of /dev/shm, which PyTorch's data loaders and NCCL share; without it the daemon's setting."),
        ParameterSchema("ulimits", .object(ulimits), "Limits of the kernel for its processes; -1 is none."),
        ParameterSchema(
            "network", .choice(ContainerTerms.Network.allCases.map(\.rawValue)), default: "host", "What it sees of the network."),
        ParameterSchema("python", .text(bytesMax: SpecLimits.pathBytesMax), default: "python3", "The image's Python with PyTorch."),
        ParameterSchema(
            "pull", .choice(ContainerTerms.Pull.allCases.map(\.rawValue)), default: "missing", "When the image is fetched at the start."),
    ]

    /// The keys of `containers` of the daemon's configuration and of its clusters.
    public static let containers: [ParameterSchema] = [
        ParameterSchema(
            "runtime", .choice(ContainerRuntime.allCases.map(\.rawValue)), default: "podman", "What runs containers; pyxis is for clusters."
        ),
        ParameterSchema("program", .text(bytesMax: SpecLimits.pathBytesMax), "Its program, by path or by a name in PATH."),
        ParameterSchema("options", arguments, "Arguments before the runtime's subcommand, such as '--root' and its folder."),
        ParameterSchema("run_options", arguments, "Further arguments of each run, before the image."),
        ParameterSchema(
            "gpus", .choice(ContainerConfiguration.GPUHandover.allCases.map(\.rawValue)),
            "How GPUs are handed in: by the names of the Container Device Interface, by the runtime's own flag, or not at all; cdi, and flag "
                + "for apptainer."),
        ParameterSchema("init", .boolean, default: true, "Whether a small first process passes signals on and reaps orphans."),
        ParameterSchema("limit_memory", .boolean, default: true, "Whether a job's 'memory' limits its container."),
        ParameterSchema("shm", .memory, default: "16GiB", "The size of /dev/shm where the job does not say."),
        ParameterSchema("ulimits", .object(ulimits), "Limits of the kernel below those of the job; -1 is none."),
        ParameterSchema(
            "mounts", .list(.text(bytesMax: 2 * SpecLimits.pathBytesMax + 4), count: 0...SpecLimits.mountsMax),
            "What every container gets to see: PATH, PATH:TARGET or PATH:TARGET:ro; each path absolute."),
    ]

    private static let arguments = ValueType.list(.argument, count: 0...SpecLimits.mapCountMax)

    /// The limits of getrlimit(2) by the names that container runtimes have for them.
    private static let ulimits: [ParameterSchema] = [
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
        "stack",
    ].map { ParameterSchema($0, .integer(-1...SpecLimits.ulimitMax), "The limit '\($0)', soft and hard.") }
}
