import Domain

/// What a job and the servers that it uses need at the same time.
enum ServerFit {
    /// The least that all of these hold together, whichever of their alternatives they get. GPUs count whatever their make.
    static func together(_ requests: [ResourceRequest]) -> ResourceRequest {
        var sum = ResourceRequest(cpus: 0)
        var thousandths = 0
        for request in requests {
            let choices = request.choices
            thousandths += choices.map { $0.gpus * 1000 + $0.gpuShare }.min() ?? 0
            sum.cpus += choices.map(\.cpus).min() ?? 0
            sum.memoryBytes += choices.map(\.memoryBytes).min() ?? 0
            for name in Set(choices.flatMap(\.counters.keys)) {
                sum.counters[name, default: 0] += choices.map { $0.counters[name, default: 0] }.min() ?? 0
            }
        }
        sum.gpus = (thousandths + 999) / 1000
        sum.gpusMax = sum.gpus
        return sum
    }
}
