import Domain

extension ParameterSchema {
    private static let word = ValueType.text(bytesMax: SpecLimits.clusterWordBytesMax)
    private static let file = ValueType.text(bytesMax: SpecLimits.pathBytesMax)

    /// The keys of a cluster in the daemon's configuration.
    public static let cluster: [ParameterSchema] = [
        ParameterSchema(
            required: "executor", .choice(["slurm", "local"]),
            "What runs the jobs there; `local` is for the cluster of that name, this machine."),
        ParameterSchema("partition", word, "Slurm's --partition."),
        ParameterSchema("account", word, "Slurm's --account."),
        ParameterSchema("qos", word, "Slurm's --qos."),
        ParameterSchema("constraint", word, "Slurm's --constraint."),
        ParameterSchema(
            "time", .duration(.seconds(60)...SpecLimits.timeoutMax), "How long an allocation lasts; longer jobs go on in the next one."),
        ParameterSchema(
            "ahead", .integer(0...1), default: 0,
            "1 lets a job's next allocation wait in Slurm's queue while the present one runs, for jobs that are longer than 'time'."),
        ParameterSchema("gpus_per_node", .integer(1...SpecLimits.gpusPerNodeMax), "GPUs of a node; more are refused at submission."),
        ParameterSchema("data", file, "The folder on the shared disk; the daemon's data folder must lie in it."),
        ParameterSchema(
            "setup", .list(.text(bytesMax: SpecLimits.stringBytesMax), count: 0...SpecLimits.mapCountMax),
            "Lines of shell that a node runs before the worker, such as 'module load cuda'."),
        ParameterSchema("environment", .map(keys: .variable, .scalar), "Variables of the workers there, below those of the spec."),
        ParameterSchema("arguments", .list(.argument, count: 0...SpecLimits.mapCountMax), "Further arguments of sbatch."),
        ParameterSchema(
            "margin", .duration(.seconds(20)...SpecLimits.graceMax), default: "2m",
            "How long before its allocation's end a worker is asked to save."),
        ParameterSchema(
            "lag", .duration(.zero...SpecLimits.graceMax), default: "30s",
            "How long the shared disk may take to show what a node has written, before a record is taken for missing."),
        ParameterSchema("poll", .object(poll), "How often Slurm is asked."),
        ParameterSchema("containers", .object(containers), "How its nodes run containers; without it as the daemon's machine does."),
        ParameterSchema("programs", file, "The folder of sbatch, squeue, scancel …; without it they are looked up in PATH."),
        ParameterSchema("slurm_conf", file, "The configuration of this cluster, where there are several."),
        ParameterSchema("rest", .object(rest), "slurmrestd, in place of sbatch, squeue and scancel."),
        ParameterSchema("url", .httpURL, "Where its nodes reach the daemon."),
        ParameterSchema("shim", file, "Where its nodes have anneal-shim."),
        ParameterSchema("worker", file, "Where its nodes have anneal-worker."),
        ParameterSchema("python", file, "The nodes' Python with PyTorch and TRL."),
        ParameterSchema("trainer", file, "Where its nodes have the package anneal_trainer."),
    ]

    private static let rest: [ParameterSchema] = [
        ParameterSchema("url", .httpURL, "Its address, such as http://login:6820."),
        ParameterSchema("socket", file, "Its Unix socket, in place of an address."),
        ParameterSchema("user", word, "Whose jobs they are; without it the daemon's own user."),
        ParameterSchema(
            "token", .name(.variable), default: "SLURM_JWT", "The secret that holds the user's token, as 'scontrol token' makes it."),
    ]

    private static let poll: [ParameterSchema] = [
        ParameterSchema("least", .duration(.seconds(1)...SpecLimits.graceMax), default: "1s", "The pause while something changes."),
        ParameterSchema("most", .duration(.seconds(1)...SpecLimits.graceMax), default: "15s", "The pause while nothing changes."),
    ]
}
