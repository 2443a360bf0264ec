import Domain

/// Which experiments a list shows.
public struct ExperimentFilter: Sendable {
    public var project: String?
    public var name: String?
    /// `nil` for all.
    public var states: Set<ExperimentState>?
    public var reach: Reach

    /// A filter; what is left out does not restrict.
    public init(project: String? = nil, name: String? = nil, states: Set<ExperimentState>? = nil, reach: Reach = .everything) {
        self.reach = reach
        self.project = project
        self.name = name
        self.states = states
    }
}

extension ReadTransaction {
    /// The experiment with this identifier.
    public func experiment(_ id: String) throws -> ExperimentRecord? {
        try row("SELECT \(ExperimentRecord.columns) FROM experiment WHERE id = ?", [id]) { try ExperimentRecord(&$0) }
    }

    /// The name of an experiment, without the cost of its spec.
    public func experimentName(_ id: String) throws -> String? { try row("SELECT name FROM experiment WHERE id = ?", [id]) { $0.text() } }

    /// The state of an experiment, without the cost of its spec.
    public func experimentState(_ id: String) throws -> ExperimentState? {
        try row("SELECT state FROM experiment WHERE id = ?", [id]) { try $0.word() }
    }

    /// The project of an experiment, without the cost of its spec.
    public func projectName(ofExperiment id: String) throws -> String? {
        try row("SELECT project FROM experiment WHERE id = ?", [id]) { $0.text() }
    }

    /// The newest experiment of this name in a project, or the one that is active.
    public func experiment(named name: String, project: String, activeOnly: Bool = false) throws -> ExperimentRecord? {
        let restriction = activeOnly ? " AND finished_at_ms IS NULL" : ""
        return try row(
            "SELECT \(ExperimentRecord.columns) FROM experiment WHERE project = ? AND name = ?\(restriction) ORDER BY id DESC LIMIT 1",
            [project, name]
        ) { try ExperimentRecord(&$0) }
    }

    /// Experiments, newest first.
    ///
    /// - Parameter after: The identifier of the last one of the page before.
    public func experiments(_ filter: ExperimentFilter = ExperimentFilter(), limit: Int, after: String? = nil) throws -> Page<
        ExperimentRecord
    > {
        var conditions = Conditions()
        conditions.add("project", equals: filter.project)
        conditions.add("name", equals: filter.name)
        conditions.add(experiment: "id", within: filter.reach)
        conditions.add("state", in: filter.states?.map(\.rawValue).sorted())
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(ExperimentRecord.columns) FROM experiment\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try ExperimentRecord(&$0) }
    }
}
