/// Bounds on what is taken from the files of workers, in one place; each has a test at the limit and one past it.
public enum TelemetryLimits {
    /// Bytes read from a file at a time.
    public static let readBytesMax = 256 * 1024
    /// Bytes of one line; a longer one is skipped and counted.
    public static let lineBytesMax = 1024 * 1024
    /// Keys of one line of metrics; further ones are dropped and counted.
    public static let keysPerLineMax = 1000
    /// Bytes of a key.
    public static let keyBytesMax = 250
    /// Deliveries of a failing batch after the attempt has ended, before it is given up.
    public static let drainRetriesMax = 5
}
