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
    /// The greatest step: beyond it numbers of clients are no longer exact.
    public static let stepMax = 1 << 53
    /// Deliveries of a failing batch after the attempt has ended, before it is given up.
    public static let drainRetriesMax = 5
    /// Bytes of a log line that is looked at for numbers.
    public static let logLineBytesMax = 16 * 1024
    /// Times that a line of a log is written over, of which the last are looked at.
    public static let overwritesPerLineMax = 1000
    /// Bytes of one record of an event file; a greater length is taken for damage.
    public static let recordBytesMax = 64 << 20
    /// Event files that are followed for one attempt.
    public static let eventFilesMax = 200
    /// Folders below one attempt's that are looked into for event files.
    public static let eventFoldersMax = 2000
    /// Levels of them.
    public static let eventFolderDepthMax = 12
}
