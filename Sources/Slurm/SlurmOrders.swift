/// What Slurm is to be told of jobs, until it has been.
struct SlurmOrders: Sendable {
    /// Ids come again where a controller was killed with its last jobs: an order names the job as well.
    private struct Order: Hashable {
        var id: String
        /// Any of which the job may be called.
        var names: Set<String>
    }

    private var ends: Set<Order> = []
    private var cancels: Set<Order> = []

    var isEmpty: Bool { ends.isEmpty && cancels.isEmpty }

    /// Ends a job: at once where it waits, by its shim where it runs.
    mutating func end(_ id: String, _ names: Set<String>) { ends.insert(Order(id: id, names: names)) }

    /// Ends a job whatever it is at.
    mutating func cancel(_ id: String, _ names: Set<String>) { cancels.insert(Order(id: id, names: names)) }

    /// Drops what waits to be told of an id, which is now another job's.
    mutating func forget(_ id: String) {
        ends = ends.filter { $0.id != id }
        cancels = cancels.filter { $0.id != id }
    }

    /// Takes all of them out, but for those whose id Slurm has given to another job, as its queue told last.
    mutating func take(_ queue: SlurmQueue) -> Taken {
        let isMeant = { (order: Order) in queue.names(of: order.id).map { !order.names.isDisjoint(with: $0) } ?? true }
        defer { self = SlurmOrders() }
        return Taken(ends: ends.filter(isMeant).map(\.id).sorted(), cancels: cancels.filter(isMeant).map(\.id).sorted(), orders: self)
    }

    /// Puts those back that Slurm did not hear.
    mutating func restore(_ taken: Taken) {
        ends.formUnion(taken.orders.ends)
        cancels.formUnion(taken.orders.cancels)
    }

    /// The ids of jobs of which Slurm is told now.
    struct Taken: Sendable {
        let ends: [String]
        let cancels: [String]
        fileprivate let orders: SlurmOrders
    }
}
