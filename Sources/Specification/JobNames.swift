import JSON

/// Finds jobs by the names that a document may use: a job's own, or that of a group of a matrix.
struct JobNames {
    private var jobs: [String: Int] = [:]
    private var groups: [String: [Int]] = [:]
    private var combinations: [Int: JSONObject] = [:]
    private var indexes: [IndexKey: [MemberIndex]] = [:]
    /// Jobs whose matrix is wrong; nothing more is said about uses of them.
    var broken: Set<String> = []

    /// The members of a group that have the same keys, by their values for the keys that a user of the group has, too.
    private struct MemberIndex {
        var sharedKeys: [String]
        var members: [[JSONValue]: [Int]]
    }

    private struct IndexKey: Hashable {
        var group: String
        var keys: [String]
    }

    mutating func add(_ draft: JobDraft, at index: Int, _ diagnostics: Diagnostics) {
        if let group = draft.group { groups[group, default: []].append(index) }
        if let combination = draft.combination { combinations[index] = combination }
        if jobs.updateValue(index, forKey: draft.name) != nil {
            let detail = "the name '\(draft.name)' is taken twice: by a job and by a member of a matrix"
            diagnostics.add(.conflict, at: draft.check.base, detail, atKey: true)
        }
    }

    /// All names that a document may use.
    ///
    /// Empty where there are too many to search for each misspelt one.
    var all: [String] {
        guard groups.count + jobs.count <= SpecLimits.suggestionCandidatesMax else { return [] }
        return Array(groups.keys).sorted() + Array(jobs.keys).sorted()
    }

    /// The job of that name, or all members of that group; empty for an unknown name.
    func members(of name: String) -> [Int] { groups[name] ?? jobs[name].map { [$0] } ?? [] }

    /// The job that a reference to `name` means for a job with `combination`: the job itself, or the one member of the group whose values
    /// equal those of `combination` for all keys that both have. Several or none where that is not clear.
    mutating func candidates(for name: String, combination: JSONObject?) -> [Int] {
        guard let members = groups[name] else { return jobs[name].map { [$0] } ?? [] }
        if let exact = jobs[name] { return [exact] }
        let own = combination ?? [:]
        let key = IndexKey(group: name, keys: Array(own.keys))
        let index = indexes[key] ?? makeIndex(of: members, keys: key.keys)
        indexes[key] = index
        return index.flatMap { part in part.members[part.sharedKeys.map { own[$0] ?? .null }] ?? [] }.sorted()
    }

    private func makeIndex(of members: [Int], keys: [String]) -> [MemberIndex] {
        var parts: [MemberIndex] = []
        for member in members {
            let combination = combinations[member] ?? [:]
            let shared = keys.filter { combination[$0] != nil }
            let position = parts.firstIndex { $0.sharedKeys == shared } ?? parts.endIndex
            if position == parts.endIndex { parts.append(MemberIndex(sharedKeys: shared, members: [:])) }
            parts[position].members[shared.map { combination[$0] ?? .null }, default: []].append(member)
        }
        return parts
    }
}
