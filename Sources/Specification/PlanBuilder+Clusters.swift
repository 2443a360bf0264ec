import Domain
import JSON

// Where jobs run.
extension PlanBuilder {
    /// Refuses a cluster that the daemon does not have.
    func checkCluster(_ name: String, _ check: SchemaCheck, at path: JSONPointer) {
        guard let known = world.context.clusters, name != ClusterTerms.local, !known.contains(name) else { return }
        let hint = Spelling.suggestion(for: name, among: known + [ClusterTerms.local])
        let list =
            known.isEmpty
            ? "; the daemon's configuration names none: write them under 'clusters' there, or leave 'cluster' out"
            : "; known are \(ClusterTerms.local), \(known.joined(separator: ", "))"
        check.fail(.unknownName, path, "there is no cluster '\(name)'" + (hint.isEmpty ? list : hint))
    }

    /// A server on a cluster answers to everybody who reaches its node; one of the daemon's machine answers there alone.
    func checkClustersOfServers() {
        for index in servers.keys.sorted() where drafts[index].cluster == nil {
            for job in serverUsers[index, default: []] {
                guard let cluster = drafts[job].cluster else { continue }
                drafts[job].check.fail(
                    .conflict, JSONPointer(["cluster"]),
                    "the nodes of the cluster '\(cluster)' do not reach the server '\(drafts[index].name)', which answers on the daemon's "
                        + "machine alone; give '\(drafts[index].name)' a cluster, too, or write 'cluster: local' here")
            }
        }
    }
}
