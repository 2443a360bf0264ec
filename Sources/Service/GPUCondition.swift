/// Why a GPU may not be given out; each of these is told apart, since each ends in its own way.
struct GPUCondition: Sendable, Equatable {
    /// An operator took it out of use, or a fault did; stays over restarts until `undrain`.
    var drained: String?
    /// What the driver says is wrong with it now.
    var fault: String?
    /// Processes that are not ours compute on it.
    var foreign: String?
    /// An attempt has ended on it, and it is not yet proved empty.
    var unproven: String?

    /// Why a GPU is not given out in the moment between an attempt's end and the proof.
    static let beingProved = "being proved empty after an attempt's end"

    /// The reason in words, the gravest first; `nil` for a GPU that may be given out.
    var reason: String? { drained ?? fault ?? foreign ?? unproven }

    /// The word that clients compare.
    var health: String {
        if fault != nil { return "faulty" }
        if drained != nil { return "drained" }
        return foreign != nil ? "busy_foreign" : "healthy"
    }
}
