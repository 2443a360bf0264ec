import APITypes

/// What jobs are called, for lists whose entries tell only the identifiers.
struct JobNames {
    /// Each is a request of its own; a longer list shows identifiers from there on.
    private static let lookupsMax = 100

    private var names: [String: String] = [:]

    /// Looks the jobs up, each once.
    init(of ids: [String?], client: APIClient) {
        for id in ids {
            guard let id, names[id] == nil, names.count < Self.lookupsMax else { continue }
            // A list is worth showing without the name of a job that cannot be read.
            let job = try? client.get(JobView.self, ["v1", "jobs", id]).view
            names[id] = job.map { "\($0.experiment)/\($0.name)" } ?? id
        }
    }

    /// `EXPERIMENT/JOB`, else the identifier.
    subscript(id: String?) -> String? { id.map { names[$0] ?? $0 } }
}
