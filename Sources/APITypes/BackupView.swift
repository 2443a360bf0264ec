/// A backup that is being made, or was: the answer of `/v1/backup`.
public struct BackupView: Codable, Sendable, Equatable {
    /// `running`, `done` or `failed`.
    public var state: String
    /// `database`, `files`, `finishing` or `done`.
    public var phase: String
    /// The folder, on the daemon's machine.
    public var target: String
    /// `database`, `link` or `copy`.
    public var mode: String
    /// Pages of the database that are copied, and all of them.
    public var pages = 0
    public var pagesTotal = 0
    /// Files and bytes taken so far.
    public var files = 0
    public var bytes: Int64 = 0
    /// Rows whose files were gone.
    public var missing: [String] = []
    /// Files outside of the data folder, which are no part of it.
    public var external: [String] = []
    /// Why it failed.
    @Nullable public var message: String?
    /// When it began.
    public var startedAt: String
    /// When it ended.
    @Nullable public var finishedAt: String?

    enum CodingKeys: String, CodingKey {
        case state
        case phase
        case target
        case mode
        case pages
        case pagesTotal = "pages_total"
        case files
        case bytes
        case missing
        case external
        case message
        case startedAt = "started_at"
        case finishedAt = "finished_at"
    }

    /// A backup that has just begun.
    public init(state: String, phase: String, target: String, mode: String, startedAt: String) {
        self.state = state
        self.phase = phase
        self.target = target
        self.mode = mode
        self.startedAt = startedAt
    }
}
