/// The service's bounds, in one place; each has a test at the limit and one past it.
public enum ServiceLimits {
    /// Bytes of a submitted spec.
    public static let specBytesMax = 4 * 1024 * 1024
    /// Bytes of an uploaded dataset; the disk is the true limit.
    public static let uploadBytesMax: Int64 = 1 << 44
    /// Bytes of a small JSON body, such as that of a PATCH.
    public static let requestBytesMax = 64 * 1024
    /// Bytes of one request of a tracking client, and of one batch of points.
    public static let trackingRequestBytesMax = 4 * 1024 * 1024
    /// Points of one batch.
    public static let pointsPerBatchMax = 50_000
    /// Bytes of an artifact that comes over HTTP; workers write larger ones to the disk themselves.
    public static let artifactBytesMax = 64 * 1024 * 1024
    /// Bytes of `outputs.json` that are read.
    public static let reportBytesMax = 16 * 1024 * 1024
    /// How long the trainer may take to list its arguments, and the bytes of its list.
    public static let trainArgumentSecondsMax = 60
    public static let trainArgumentBytesMax = 1024 * 1024
    /// Seconds after which a trainer that gave no list is asked again.
    public static let trainArgumentRetrySeconds = 300
    /// Bytes from the end of each of a worker's logs that are searched for the cause of a failure.
    public static let logTailBytesMax = 64 * 1024
    /// Characters of an idempotency key.
    public static let idempotencyKeyLengthMax = 255
    /// Bytes of job views kept ready for polling.
    public static let viewCacheBytesMax = 8 * 1024 * 1024
    /// Unsent bytes of a stream after which it is fed from the database at the reader's own pace.
    public static let streamBufferBytesMax = 256 * 1024
    /// Tokens in force, and projects that one may be limited to.
    public static let tokensMax = 1000
    public static let tokenProjectsMax = 100
    public static let tokenLifetimeMax = Duration.seconds(3650 * 86_400)
    /// Records of the audit log, whatever their age.
    public static let auditRecordsMax = 2_000_000
    /// Requests of frequent kinds that are counted side by side before they are written down, and for how long.
    public static let auditCountedMax = 1000
    public static let auditCountedSeconds = 10
    /// Callers whose rates are remembered.
    public static let callersRememberedMax = 20_000
    /// Webhooks.
    public static let webhooksMax = 100
    /// Samples of the devices in one answer.
    public static let deviceSamplesMax = 600
    /// Curves that one request may ask for.
    public static let curvesMax = 1000
    /// Runs that a job may make by a tracking client beside its own.
    public static let runsPerJobMax = 1000
    /// Jobs that one request for curves may name.
    public static let curveJobsMax = 200
    /// Events read from the database at a time to feed a stream.
    public static let streamPageEvents = 500
    /// Passes of earlier jobs that a generation is told of, to take records over from.
    public static let reusePassesMax = 10_000
    /// Sample records of generations in one answer.
    public static let generationSamplesMax = 100
    /// Responses of a reinforcement job in one answer.
    public static let rolloutsMax = 100
    /// Responses of one step that are looked at, and steps that are named.
    public static let rolloutsReadMax = 1024
    public static let rolloutStepsMax = 1000
    /// Bytes of a sample's text, and of its input; more is cut.
    public static let sampleBytesMax = 64 * 1024
    /// Bytes of files of generations up to which samples are drawn from all records alike; in larger ones longer records come more often.
    public static let sampledWholeBytesMax = 32 * 1024 * 1024
    /// Bytes of a record that is looked at as a sample.
    public static let sampledRecordBytesMax = 4 * 1024 * 1024
    /// Passes in one answer; the sums are over all.
    public static let generationPassesMax = 1000
    /// Stretches of missing records that are named of a pass, and passes of which they are.
    public static let missingStretchesMax = 5
    public static let missingPassesMax = 100
    /// Bytes of the file of secrets, and of the secrets of one job with their names.
    public static let secretFileBytesMax = 256 * 1024
    public static let secretBytesMax = 64 * 1024
    /// Bytes of the record of a backup.
    public static let backupRecordBytesMax = 16 * 1024 * 1024
    /// Characters of the path that a backup goes to; SQLite opens files whose paths have up to 512 bytes.
    public static let backupTargetLengthMax = 400
    /// Things that one answer names of those that retention lets go of; the sums are over all.
    public static let garbageItemsMax = 1000
}
