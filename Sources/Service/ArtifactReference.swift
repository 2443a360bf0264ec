import Store

extension ReadTransaction {
    /// The dataset that an id (`ds_…`), a name (its newest version) or `name@version` stands for.
    func dataset(reference: String) throws -> DatasetRecord? {
        if reference.hasPrefix("ds_"), let found = try dataset(reference) { return found }
        guard let at = reference.lastIndex(of: "@") else { return try dataset(named: reference) }
        guard let version = Int(reference[reference.index(after: at)...]) else { return nil }
        return try dataset(named: String(reference[..<at]), version: version)
    }
}
