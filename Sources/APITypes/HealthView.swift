/// The daemon's health, as `GET /healthz` gives it.
public struct HealthView: Codable, Sendable, Equatable {
    /// `ok`, `reconciling` or `stopping`.
    public var status: String
    /// The daemon's version.
    public var version: String
    /// An explanation for people.
    @Nullable public var message: String?
    /// Attempts looked at since the start.
    public var reconciled: Int
    /// Attempts to look at before work is accepted.
    public var total: Int
    /// When it started.
    public var startedAt: String

    enum CodingKeys: String, CodingKey {
        case status
        case version
        case message
        case reconciled
        case total
        case startedAt = "started_at"
    }

    /// Makes one from its parts.
    public init(status: String, version: String, message: String? = nil, reconciled: Int, total: Int, startedAt: String) {
        self.status = status
        self.version = version
        self.message = message
        self.reconciled = reconciled
        self.total = total
        self.startedAt = startedAt
    }
}

/// What the daemon finds when it examines itself: the answer of `GET /v1/doctor`.
public struct DoctorView: Codable, Sendable, Equatable {
    /// One entry for each thing examined.
    public var checks: [DoctorCheck]

    enum CodingKeys: String, CodingKey {
        case checks
    }

    /// Makes one from its parts.
    public init(checks: [DoctorCheck]) {
        self.checks = checks
    }
}

/// One examined thing.
public struct DoctorCheck: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// True where nothing is wrong, or only something that need not be.
    public var ok: Bool
    /// `ok`, `warn` or `fail`.
    public var level: String
    /// What was found.
    public var detail: String
    /// What to do about it, where it is not well.
    @Nullable public var advice: String?

    enum CodingKeys: String, CodingKey {
        case name
        case ok
        case level
        case detail
        case advice
    }

    /// Makes one from its parts.
    public init(name: String, ok: Bool, detail: String, advice: String? = nil) {
        self.name = name
        self.ok = ok
        level = ok ? "ok" : "fail"
        self.detail = detail
        self.advice = advice
    }

    /// One that works, and could be better.
    public static func warning(_ name: String, _ detail: String, advice: String) -> DoctorCheck {
        var check = DoctorCheck(name: name, ok: true, detail: detail, advice: advice)
        check.level = "warn"
        return check
    }
}
