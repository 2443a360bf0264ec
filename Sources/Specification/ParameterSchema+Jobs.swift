import Domain
import JSON

extension ParameterSchema {
    /// The keys of a spec's root.
    public static let document: [ParameterSchema] = [
        ParameterSchema(required: "name", .name(.experiment), "The experiment's name; unique in its project while it is active."),
        ParameterSchema("project", .name(.experiment), default: "default", "The project that the experiment belongs to."),
        ParameterSchema("description", .text(bytesMax: SpecLimits.descriptionBytesMax), "Free text for people."),
        ParameterSchema(
            "cluster", .name(.experiment), default: "local",
            "Where the jobs run that do not say so themselves: a cluster of the daemon's configuration, or local."),
        ParameterSchema("tags", .map(keys: .tag, .argument), "Free key-value pairs to find the experiment by."),
        ParameterSchema("env", .map(keys: .variable, .scalar), "Environment variables of all jobs."),
        ParameterSchema("secrets", secretNames, "Secrets that all jobs get as environment variables, by name."),
        ParameterSchema("container", .either(containerTypes), "The container that the workers of all jobs run in."),
        ParameterSchema(
            "vars", .object([]), "Values by name: '${vars.name}' in a job, or in 'env', stands for one; '--set vars.name=…' changes it."),
        ParameterSchema(required: "jobs", .map(keys: .job, .object([])), "The jobs, by name."),
    ]

    /// The keys that jobs of every kind have.
    public static let common: [ParameterSchema] = [
        ParameterSchema(required: "kind", kindType, "What the job does."),
        ParameterSchema("description", .text(bytesMax: SpecLimits.descriptionBytesMax), "Free text for people."),
        ParameterSchema(
            "needs", .either([.text(bytesMax: 100), .list(.text(bytesMax: 100), count: 0...SpecLimits.jobsMax)]),
            "Jobs that must end first; a group's name means all its members."),
        ParameterSchema(
            "if", .either([.boolean, .text(bytesMax: SpecLimits.conditionBytesMax)]),
            "Runs the job only where this holds; without it, where all needs have succeeded."),
        ParameterSchema(
            "matrix", .object([]), "Makes one job for each combination of the listed values, with 'include' and 'exclude'."),
        ParameterSchema("env", .map(keys: .variable, .scalar), "Environment variables; they go before those of the experiment."),
        ParameterSchema(
            "secrets", secretNames, "Secrets that the job gets as environment variables, by name, beside those of the experiment."),
        ParameterSchema(
            "container", .either(containerTypes),
            "The container that the worker runs in: an image, or a mapping whose keys go before those of the experiment."),
        ParameterSchema("workdir", .path(.directory, nil), "The folder the worker runs in."),
        ParameterSchema("priority", .integer(0...100), default: 50, "Jobs of a higher priority start first."),
        ParameterSchema("resources", .resources(resources), "What the job holds while it runs."),
        ParameterSchema("cluster", .name(.experiment), "Where the job runs; without it where the experiment says."),
        ParameterSchema("timeout", .duration(.milliseconds(1)...SpecLimits.timeoutMax), "The longest time one attempt may run."),
        ParameterSchema(
            "retry", .either([.integer(0...SpecLimits.retriesMax), .object(retry)]),
            "Further attempts after a failure that a retry can mend; without it as many as help against the failure's cause."),
        ParameterSchema(
            "grace", .duration(.zero...SpecLimits.graceMax),
            "How long the worker may take to end after it was asked to; without it 5m for train, else 30s."),
        ParameterSchema("preemptible", .boolean, default: false, "Lets jobs of higher priority take its place; it is resumed later."),
        ParameterSchema(
            "concurrency", .either(concurrencyTypes),
            "A group of which only so many jobs run at a time, across the experiments of the project."),
        ParameterSchema("hold", .boolean, default: false, "Keeps the job in the queue until it is released."),
        ParameterSchema(
            "stall", .either([.boolean, .duration(.seconds(1)...SpecLimits.graceMax), .object(stall)]),
            "When steps that stopped are taken for a stall; on for train, off for other kinds."),
        ParameterSchema(
            "nan_steps", .either([.boolean, .integer(1...1_000_000)]),
            "Steps in a row with a loss that is no number after which an attempt is stopped; without it 5 for train, else none."),
        ParameterSchema(
            "alerts", .list(.object(alerts), count: 0...SpecLimits.alertsMax),
            "What is worth an alert while the job runs, and whether it is stopped then."),
        ParameterSchema("cache", .boolean, default: true, "Takes over the outputs of an equal job that has succeeded."),
    ]

    private static let secretNames = ValueType.list(.name(.variable), count: 0...SpecLimits.secretsMax)

    private static let alerts: [ParameterSchema] = [
        ParameterSchema(
            required: "when", .text(bytesMax: 600),
            "KEY SIGN NUMBER or KEY SIGN KEY, with 'for STEPS'; KEY is nan; stalled; gpu_idle > 20m."),
        ParameterSchema("do", .choice(AlertRule.Action.allCases.map(\.rawValue)), default: "notify", "What follows beside the alert."),
        ParameterSchema("level", .choice(["info", "warn", "error"]), default: "warn", "How grave it is."),
    ]

    private static let kindType = ValueType.choice(
        JobKind.allCases.filter(JobKind.supported.contains).map(\.rawValue),
        later: JobKind.allCases.filter { !JobKind.supported.contains($0) }.map(\.rawValue))

    /// What one way to run asks for.
    static let demands: [ParameterSchema] = [
        ParameterSchema("gpus", .gpuCount, default: 0, "Whole GPUs, a range such as \"1-8\", or a part of one such as 0.5."),
        ParameterSchema("gpu_memory", .memory, default: 0, "The least memory that each GPU must have."),
        ParameterSchema("model", .text(bytesMax: 100), "What each GPU's product name must contain, such as H200."),
        ParameterSchema("cpus", .integer(1...65_536), default: 1, "CPU cores."),
        ParameterSchema("memory", .memory, default: 0, "Main memory; 0 accounts for none."),
        ParameterSchema(
            "nodes", .integer(1...SpecLimits.nodesMax), default: 1, "Machines of a cluster; GPUs, CPUs and memory are of each of them."),
        ParameterSchema("exclusive", .boolean, default: false, "Keeps others off a cluster's machines while the job runs."),
        ParameterSchema("counters", .map(keys: .job, .integer(0...1_000_000)), "Units of the machine's named counters, such as licences."),
    ]

    static let resources =
        demands + [
            ParameterSchema(
                "any_of", .list(.resources(demands), count: 1...SpecLimits.alternativesMax),
                "Ways to run, the preferred one first; each takes what it leaves out from the keys beside it.")
        ]

    /// A group's name, or a mapping.
    static let concurrencyTypes: [ValueType] = [.name(.experiment), .object(concurrency)]

    private static let concurrency: [ParameterSchema] = [
        ParameterSchema(required: "group", .name(.experiment), "The group's name."),
        ParameterSchema("limit", .integer(1...10_000), default: 1, "Jobs of the group that may run at a time."),
        ParameterSchema("cancel_in_progress", .boolean, default: false, "Cancels the jobs of the group that came before this one."),
    ]

    private static let stall: [ParameterSchema] = [
        ParameterSchema("least", .duration(.seconds(1)...SpecLimits.graceMax), default: "2m", "The shortest silence that counts."),
        ParameterSchema(
            "most", .duration(.seconds(1)...SpecLimits.graceMax), default: "30m",
            "The longest silence that is waited for, also before the first step."),
    ]

    private static let rule: [ParameterSchema] = [
        ParameterSchema(required: "limit", .integer(0...SpecLimits.retriesMax), "Further attempts after this cause."),
        ParameterSchema("delay", .duration(.zero...SpecLimits.graceMax), "The wait before the first of them."),
    ]

    /// The causes of failures that a spec can make rules for.
    static let causes: [Reason] = [
        .badConfig, .badData, .importError, .cudaOOM, .hostOOM, .nanLoss, .stalled, .ncclError, .gpuFault, .diskFull, .network, .timeout,
        .killed, .crashed, .unknown, .serverFailed, .startFailed, .logLimit, .gateFailed,
    ]

    static let retry: [ParameterSchema] = [
        ParameterSchema("limit", .integer(0...SpecLimits.retriesMax), "Further attempts after the first."),
        ParameterSchema("delay", .duration(.zero...SpecLimits.graceMax), default: "1s", "The wait before the first retry."),
        ParameterSchema("backoff", .number(.atLeast(1, upTo: 100)), default: 2, "The factor by which each further wait grows."),
        ParameterSchema(
            "on",
            .object(
                causes.map {
                    ParameterSchema(
                        $0.rawValue, .either([.integer(0...SpecLimits.retriesMax), .object(rule)]), "Attempts after this cause.")
                }), "Rules for single causes; they outrank 'limit'."),
        ParameterSchema(
            "on_oom", .choice(RetryPolicy.OutOfMemoryAction.allCases.map(\.rawValue)), default: "fail",
            "What follows when GPU memory runs out; halve_micro_batch keeps the global batch."),
    ]

    static let commandTable: [ParameterSchema] = [
        ParameterSchema(
            required: "command",
            .either([.text(bytesMax: SpecLimits.stringBytesMax), .list(.argument, count: 1...SpecLimits.listCountMax)]),
            "The program and its arguments, or one text for /bin/sh -c."),
        ParameterSchema(
            "outputs", .list(.name(.output), count: 0...SpecLimits.mapCountMax),
            "Names of outputs that the command registers in its outputs.json."),
        ParameterSchema(
            "log_dir", .text(bytesMax: 4096),
            "A folder, from workdir on, below which TensorBoard event files are followed; those below ANNEAL_OUTPUT_DIR always are."),
    ]
}
