/// How long files stay that nothing refers to any more; `nil` for ever.
public struct ArtifactRetention: Sendable, Hashable {
    /// Logs of attempts that a later attempt of their job has replaced, from the attempt's end.
    public var attemptLogs: Duration?
    /// Checkpoints of trainings that no output, input or evaluation names, from the end of the training.
    public var checkpoints: Duration?
    /// Contents and folders that no row names, uploads that were never finished, and other things left behind, from their last change.
    public var leftovers: Duration?
    /// Copies of the database from before upgrades; the newest stays.
    public var upgradeCopies: Duration?
    /// Answers that are kept for repeated requests.
    public var answers: Duration?
    /// Whether the daemon removes by itself, once a day.
    public var isAutomatic = false

    /// Logs for 90 days, checkpoints for 30, leftovers for a day, copies for 180, answers for 30; only by request.
    public static let standard = ArtifactRetention(
        attemptLogs: .seconds(90 * 86_400), checkpoints: .seconds(30 * 86_400), leftovers: .seconds(86_400),
        upgradeCopies: .seconds(180 * 86_400), answers: .seconds(30 * 86_400))

    /// Rules by age.
    public init(attemptLogs: Duration?, checkpoints: Duration?, leftovers: Duration?, upgradeCopies: Duration?, answers: Duration?) {
        self.attemptLogs = attemptLogs
        self.checkpoints = checkpoints
        self.leftovers = leftovers
        self.upgradeCopies = upgradeCopies
        self.answers = answers
    }
}
