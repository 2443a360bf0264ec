import JSON

/// What became of an experiment's archive.
public struct ImportView: Codable, Sendable, Hashable {
    /// The experiment's identifier here.
    public var id: String
    public var name: String
    public var project: String
    public var state: String
    /// Its identifier where it came from.
    public var origin: String
    /// True where the same archive had been imported before; nothing was done then.
    public var alreadyThere: Bool
    public var jobs: Int
    public var attempts: Int
    public var files: Int
    public var bytes: Int64
    /// How many identifiers are new, since theirs were taken.
    public var renamed: Int
    /// Checkpoints and datasets that are named and whose files did not come.
    public var absent: [String]

    enum CodingKeys: String, CodingKey {
        case id, name, project, state, origin, jobs, attempts, files, bytes, renamed, absent
        case alreadyThere = "already_there"
    }

    public init(
        id: String, name: String, project: String, state: String, origin: String, alreadyThere: Bool, jobs: Int, attempts: Int, files: Int,
        bytes: Int64, renamed: Int, absent: [String]
    ) {
        (self.id, self.name, self.project, self.state, self.origin) = (id, name, project, state, origin)
        (self.alreadyThere, self.jobs, self.attempts) = (alreadyThere, jobs, attempts)
        (self.files, self.bytes, self.renamed, self.absent) = (files, bytes, renamed, absent)
    }
}
