/// The ways to put sequences into bins, under the names that NeMo RL and NeMo 1.x use.
public enum Packer: String, Sendable, CaseIterable {
    /// In the given order; a new bin is opened when the next sequence does not fit the last one.
    case concatenative
    /// In the given order, each sequence into the first bin with room. (NeMo 1.x runs its own over a histogram, so by ascending length.)
    case firstFit = "first_fit"
    /// First fit by descending length; of equal lengths the later record comes first, as in NeMo RL.
    case firstFitDecreasing = "first_fit_decreasing"
    /// First fit in an order drawn from the seed. Upstream draws from a generator that it shares with the rest of the program, so
    /// there is no order of its own to reproduce.
    case firstFitShuffle = "first_fit_shuffle"
    /// Johnson and Garey's five phases as NeMo RL has them: in the last one what is left over goes to the bin with the least in it (worst
    /// fit), which can take more bins than the definition. The name stands for upstream's bins, down to their order.
    case modifiedFirstFitDecreasing = "modified_first_fit_decreasing"
    /// The same with the last phase as it is defined, a first fit by descending length of what is left over.
    case modifiedFirstFitDecreasingExact = "modified_first_fit_decreasing_exact"

    /// The packer of that name, in any case of letters; an unknown name is an error that lists the known ones.
    public init(named name: String) throws(PackingError) {
        guard let packer = Packer(rawValue: name.lowercased()) else {
            let known = Packer.allCases.map(\.rawValue).joined(separator: ", ")
            throw PackingError(.badRequest, "unknown packer '\(name)'; known are \(known)")
        }
        self = packer
    }
}
