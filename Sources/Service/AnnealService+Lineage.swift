import APITypes
import Domain
import JSON
import Store

// Lineage: what made this, and what was made from it.
extension AnnealService {
    /// The graph around an artifact or a job: upstream to the sources, downstream one step.
    ///
    /// - Parameter reach: what is told of; the graph ends before other things.
    public func lineage(_ id: String, within reach: Reach = .everything) async throws -> LineageView {
        let version = configuration.version
        return try await store.read { reader in
            var graph = LineageGraph(reader: reader, version: version, reach: reach)
            guard let root = try graph.add(id) else { throw ServiceError.missing("artifact or job", id) }
            try graph.walkUp(from: id)
            try graph.addConsumers(of: id)
            return LineageView(id: id, type: root, nodes: graph.nodes, edges: graph.edges)
        }
    }
}

/// Collects the nodes and edges of a lineage, each once.
private struct LineageGraph {
    private static let nodesMax = 2000

    let reader: ReadTransaction
    let version: String
    let reach: Reach
    private(set) var nodes: [LineageNode] = []
    private(set) var edges: [LineageEdge] = []
    private var known: Set<String> = []

    init(reader: ReadTransaction, version: String, reach: Reach) {
        self.reader = reader
        self.reach = reach
        self.version = version
    }

    /// Adds the node of an id; its type, or `nil` where the id names nothing.
    mutating func add(_ id: String) throws -> String? {
        guard let node = try node(id), try reach == .everything || AnnealService.isWithin(.artifact, id, reach, in: reader) else {
            return nil
        }
        if known.insert(id).inserted { nodes.append(node) }
        return node.type
    }

    private func node(_ id: String) throws -> LineageNode? {
        if let dataset = try reader.dataset(id) {
            return LineageNode(
                id: id, type: "dataset", name: "\(dataset.name)@\(dataset.version)", path: dataset.path, sha256: dataset.sha256,
                detail: ["rows": .int(Int64(dataset.rows)), "format": .string(dataset.format)], createdAt: dataset.createdAt.description)
        }
        if let checkpoint = try reader.checkpoint(id) {
            return LineageNode(
                id: id, type: "checkpoint", name: checkpoint.step.map { "step \($0)" } ?? checkpoint.kind.rawValue, path: checkpoint.path,
                sha256: checkpoint.sha256,
                detail: checkpoint.metrics, createdAt: checkpoint.createdAt.description)
        }
        if let evaluation = try reader.evaluation(id) {
            return LineageNode(
                id: id, type: "evaluation", name: evaluation.model, path: evaluation.path,
                detail: ["benchmarks": evaluation.document["benchmarks"] ?? []],
                createdAt: evaluation.createdAt.description)
        }
        if let job = try reader.job(id) {
            return LineageNode(
                id: id, type: "job", name: job.name, state: job.state.rawValue,
                detail: [
                    "kind": .string(job.kind.rawValue), "engine": job.engine.map(JSONValue.string) ?? .null, "spec": job.spec,
                    "version": .string(version),
                ],
                createdAt: job.createdAt.description)
        }
        if let experiment = try reader.experiment(id) {
            return LineageNode(
                id: id, type: "experiment", name: experiment.name, state: experiment.state.rawValue,
                createdAt: experiment.createdAt.description)
        }
        return nil
    }

    /// Follows producers and inputs to the sources.
    mutating func walkUp(from start: String) throws {
        var pending = [start]
        while let id = pending.popLast(), nodes.count < Self.nodesMax {
            for (source, role) in try sources(of: id) {
                let isNew = !known.contains(source)
                if source.hasPrefix("/") {
                    if known.insert(source).inserted {
                        nodes.append(LineageNode(id: source, type: "file", name: source, path: source, sha256: role.sha256))
                    }
                } else if try add(source) == nil {
                    continue
                }
                edges.append(LineageEdge(from: source, to: id, role: role.name))
                if isNew { pending.append(source) }
            }
        }
    }

    private func sources(of id: String) throws -> [(String, (name: String, sha256: String?))] {
        if let dataset = try reader.dataset(id) { return dataset.producedBy.map { [($0, ("produced", nil))] } ?? [] }
        if let checkpoint = try reader.checkpoint(id) { return [(checkpoint.jobID, ("produced", nil))] }
        if let evaluation = try reader.evaluation(id) { return [(evaluation.jobID, ("produced", nil))] }
        guard let job = try reader.job(id) else { return [] }
        let inputs = try reader.inputs(job: id).map { ($0.artifactID ?? $0.path ?? "", ($0.pointer, $0.sha256)) }
        let spec = [(job.experimentID, ("spec", nil as String?))]
        return inputs + spec + (job.cachedFrom.map { [($0, ("cached", nil as String?))] } ?? [])
    }

    /// Adds the jobs that consumed the subject and what they made, or what a job made.
    mutating func addConsumers(of id: String) throws {
        for use in try reader.consumers(of: id) where try add(use.jobID) != nil {
            edges.append(LineageEdge(from: id, to: use.jobID, role: use.pointer))
        }
        guard let job = try reader.job(id) else { return }
        for (name, output) in job.outputs?.object ?? [:] {
            guard let made = output["id"]?.string, try add(made) != nil else { continue }
            edges.append(LineageEdge(from: id, to: made, role: name))
        }
    }
}
