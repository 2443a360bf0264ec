/// The order of jobs by their needs.
struct DependencyGraph {
    /// For each job the jobs that must end first.
    let needs: [[Int]]

    /// The jobs, each after its needs, and otherwise in their own order. Jobs in or behind a circle are left out.
    ///
    /// - Parameter onCycle: called with each circle that was found, as the jobs on it, each needing the next.
    func order(onCycle: ([Int]) -> Void) -> [Int] {
        var missing = needs.map(\.count)
        var dependents = [[Int]](repeating: [], count: needs.count)
        for (job, own) in needs.enumerated() { for need in own { dependents[need].append(job) } }
        var order: [Int] = []
        order.reserveCapacity(needs.count)
        var done = [Bool](repeating: false, count: needs.count)
        var ready = needs.indices.filter { missing[$0] == 0 }
        while true {
            // A breadth-first walk; `ready` grows while it is read.
            var next = 0
            while next < ready.count {
                let job = ready[next]
                next += 1
                if done[job] { continue }
                done[job] = true
                order.append(job)
                for dependent in dependents[job] {
                    missing[dependent] -= 1
                    if missing[dependent] == 0 { ready.append(dependent) }
                }
            }
            guard let cycle = cycle(among: done) else { return order }
            onCycle(cycle)
            // The circle is taken as done, so that the search finds others behind it; such an order is never used.
            ready = cycle
        }
    }

    /// A circle among the jobs that are not done; it starts with its first job in the document's order.
    private func cycle(among done: [Bool]) -> [Int]? {
        guard var job = done.firstIndex(of: false) else { return nil }
        var position: [Int: Int] = [:]
        var path: [Int] = []
        // Each job that is left needs another one that is left, so the walk must come back to itself.
        while position[job] == nil {
            position[job] = path.count
            path.append(job)
            guard let next = needs[job].first(where: { !done[$0] }) else { return nil }
            job = next
        }
        let circle = Array(path[(position[job] ?? 0)...])
        guard let start = circle.indices.min(by: { circle[$0] < circle[$1] }) else { return nil }
        return Array(circle[start...] + circle[..<start])
    }
}
