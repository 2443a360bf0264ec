/// Why a question or an order to Slurm had no effect that is known.
public struct SlurmError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What follows from it.
    public enum Kind: Sendable, Equatable {
        /// Slurm said no, and will say so again.
        case refused
        /// Slurm said no for the present, such as for a limit on submitted jobs.
        case busy
        /// Nothing is known: no answer came, or Slurm's daemon cannot be reached. An order may have been carried out all the same.
        case unknown
        /// The cluster keeps no accounts that could be asked.
        case noAccounting
    }

    public var kind: Kind
    /// In Slurm's own words where it used any.
    public var message: String

    /// Makes one.
    public init(_ kind: Kind, _ message: String) { (self.kind, self.message) = (kind, message) }

    public var description: String { message }

    /// What the complaint of a program of Slurm that failed means.
    ///
    /// The words are those of Slurm's errors (src/common/slurm_errno.c), without the program's name before them.
    static func of(complaint: String) -> SlurmError {
        let lines = complaint.split(separator: "\n").map { line in
            line.firstRange(of: "error: ").map { String(line[$0.upperBound...]) } ?? String(line)
        }
        let message = lines.filter { !$0.isEmpty }.joined(separator: "; ")
        let text = complaint.lowercased()
        if text.contains("accounting storage is disabled") { return SlurmError(.noAccounting, message) }
        if busy.contains(where: text.contains) { return SlurmError(.busy, message) }
        if refused.contains(where: text.contains) { return SlurmError(.refused, message) }
        if unknown.contains(where: text.contains) { return SlurmError(.unknown, message) }
        return SlurmError(message.isEmpty ? .unknown : .refused, message.isEmpty ? "Slurm gave no reason" : message)
    }

    private static let busy = [
        "job violates accounting/qos policy", "slurm temporarily unable to accept job", "resource temporarily unavailable",
        "maximum job limit", "too many jobs",
    ]
    private static let refused = ["invalid", "not available", "access/permission denied", "user's group not permitted", "more processors"]
    private static let unknown = [
        "unable to contact", "socket timed out", "connection refused", "communication connection failure", "connection timed out",
        "zero bytes were transmitted", "unexpected message", "authentication", "munge", "unable to connect", "slurmctld",
        "slurm backup controller", "protocol", "configuration source", "message receive failure", "unspecified error",
    ]
}
