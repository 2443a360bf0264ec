import Domain

/// One walk through the queue: what is free shrinks as jobs start and as the first blocked one has its share set aside.
struct SchedulingPass {
    /// What becomes of a job.
    enum Outcome {
        case start(gpus: [String])
        /// Its retry delay runs.
        case delayed
        /// The healthy machine could run it, today's cannot: a GPU is out of use, or the capacity shrank.
        case cannotFit
        /// It does not fit; `free` is what is there for it.
        case blocked(free: FreeResources)
        /// It would fit, but for what is set aside for a job before it.
        case behind(job: String, left: FreeResources)
    }

    private let usable: ResourceRequest
    private(set) var free: FreeResources
    /// What is free without regard to the reservation.
    private var unreserved: FreeResources
    private var head: String?

    init(_ state: SchedulerState) {
        let capacity = state.capacity
        usable = ResourceRequest(gpus: state.usableGPUs.count, cpus: capacity.cpus, memoryBytes: capacity.memoryBytes)
        free = state.free
        unreserved = free
    }

    mutating func visit(_ job: QueuedJob, now: Timestamp) -> Outcome {
        if job.isDelayed(at: now) { return .delayed }
        let request = job.request
        // Such a job would hold up all others until a repair, so that nothing is set aside for it.
        guard request.gpus <= usable.gpus, request.cpus <= usable.cpus, request.memoryBytes <= usable.memoryBytes else { return .cannotFit }
        if free.fits(request) {
            let gpus = free.take(request)
            unreserved.gpus.removeAll { gpus.contains($0) }
            unreserved.cpus -= request.cpus
            unreserved.memoryBytes -= request.memoryBytes
            return .start(gpus: gpus)
        }
        if let head, unreserved.fits(request) { return .behind(job: head, left: free) }
        if head == nil {
            head = job.id
            free.reserve(request)
        }
        return .blocked(free: unreserved)
    }
}
