/// Every limit on a spec document, in one place. Counts are inclusive: the limit itself is allowed.
public enum SpecLimits {
    /// Bytes of a document's text.
    public static let documentBytesMax = 4 << 20
    /// Containers within containers.
    public static let depthMax = 64
    /// Values of a document after its YAML aliases are expanded; stops "billion laughs" documents.
    public static let valuesMax = 1_000_000
    /// Jobs of an experiment after matrices are expanded.
    public static let jobsMax = 10_000
    /// Edges of the job graph.
    public static let needsMax = 1_000_000
    /// Bytes of one string, such as a command or a chat template.
    public static let stringBytesMax = 256 << 10
    /// Bytes of one key of a mapping; libyaml itself ends at 1023 characters.
    public static let keyBytesMax = 1000
    /// Bytes of the sentence of one error; longer ones, which quote long values, are cut.
    public static let detailBytesMax = 2048
    /// Bytes of a description.
    public static let descriptionBytesMax = 16 << 10
    /// Bytes of a local path (Linux: PATH_MAX).
    public static let pathBytesMax = 4096
    /// Elements of one list, such as the arguments of a command.
    public static let listCountMax = 10_000
    /// Members of one free mapping, such as `env`, `tags` or server arguments.
    public static let mapCountMax = 1000
    /// Keys of one matrix.
    public static let matrixKeysMax = 32
    /// Bytes of an `if` expression or of a gate's condition.
    public static let conditionBytesMax = 4096
    /// Parentheses within parentheses of an `if` expression.
    public static let conditionDepthMax = 64
    /// Further attempts that `retry` may ask for.
    public static let retriesMax = 100
    /// Alerts of one job.
    public static let alertsMax = 50
    /// Secrets that one job, or an experiment, may name.
    public static let secretsMax = 100
    /// Bytes of the name of a container's image.
    public static let imageBytesMax = 1024
    /// Mounts that a container may ask for.
    public static let mountsMax = 100
    /// The highest limit of the kernel that a container may ask for by number.
    public static let ulimitMax = 1 << 50
    /// Ways to run that `any_of` may list.
    public static let alternativesMax = 16
    /// Machines of a cluster that one job may ask for.
    public static let nodesMax = 10_000
    /// Clusters of the daemon's configuration.
    public static let clustersMax = 100
    /// GPUs of one node of a cluster.
    public static let gpusPerNodeMax = 1024
    /// Bytes of one word of a cluster's terms, such as its partition.
    public static let clusterWordBytesMax = 1000
    /// `--set` overrides of one submission.
    public static let overridesMax = 1000
    /// Files that one NeMo RL configuration may be put together from by `defaults`.
    public static let configFilesMax = 32
    /// References within references of a NeMo RL configuration.
    public static let interpolationDepthMax = 64
    /// Errors reported for one document; the number of those left out is told.
    public static let errorsMax = 200
    /// Models of one average; all their files are open at once.
    public static let averagedModelsMax = 64
    /// The longest time limit of a job.
    public static let timeoutMax: Duration = .seconds(365 * 86_400)
    /// The longest grace a job may take to end.
    public static let graceMax: Duration = .seconds(86_400)
    /// Bytes that a source may allow a file to have that is fetched; the disk is the true limit.
    public static let downloadBytesMax = 1 << 44
    /// Tokens that a training can be limited to; more than any corpus has.
    public static let tokensMax = 1_000_000_000_000_000
    /// Names among which the one that was meant is looked for.
    public static let suggestionCandidatesMax = 200
}
