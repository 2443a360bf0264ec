/// A program that runs containers.
public enum ContainerRuntime: String, Sendable, CaseIterable {
    case podman, docker, apptainer
    /// The plug-in of Slurm by which `srun` runs its tasks in containers; within an allocation alone.
    case pyxis

    /// The program that is called.
    public var program: String { self == .pyxis ? "srun" : rawValue }
}

/// How a machine runs containers; the daemon's configuration, never a spec, decides it.
public struct ContainerConfiguration: Sendable {
    /// How GPUs are handed in.
    public enum GPUHandover: String, Sendable, CaseIterable {
        /// By the names that the NVIDIA Container Toolkit gives them under the Container Device Interface.
        case cdi
        /// By the runtime's own flag: `--gpus` of docker, `--nv` of apptainer.
        case flag
        /// Not at all; the runtime's options see to it.
        case none

        /// What holds where the configuration does not say.
        public static func usual(of runtime: ContainerRuntime) -> GPUHandover { runtime == .apptainer ? .flag : .cdi }
    }

    /// `nil` where the machine has none.
    public var runtime: ContainerRuntime?
    /// The path of the runtime's program; on a cluster it may be a name that the nodes look up in their PATH.
    public var program = ""
    /// Whether the configuration names the runtime; else it was merely found.
    public var isConfigured = false
    /// Arguments before the runtime's subcommand, such as `--root DIR`.
    public var options: [String] = []
    /// Further arguments of each run, such as `--security-opt …`.
    public var runOptions: [String] = []
    public var gpus = GPUHandover.cdi
    /// Whether a small first process within passes signals on and reaps orphans. Without it a program that does not handle SIGTERM itself
    /// ignores it, because it is process 1.
    public var usesInit = true
    /// The size of /dev/shm where the job does not say; `nil` leaves it to the runtime.
    public var shmBytes: Int64? = 16 << 30
    public var ulimits: [String: Int] = [:]
    /// What every container gets to see.
    public var mounts: [ContainerTerms.Mount] = []
    /// Whether a job's `memory` is set as a limit on its container.
    public var limitsMemory = true

    public init() {}
}
