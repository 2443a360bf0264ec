import APITypes
import Domain
import Glibc
import Store

/// Finds what retention may let go of: files that no row of the database needs, and that are old enough. Changes nothing. Blocks.
struct GarbageSearch: Sendable {
    /// What the database says, at one moment.
    struct Facts: Sendable {
        var attempts: [NamedFile] = []
        var checkpoints: [NamedFile] = []
        var pathsInUse: Set<String> = []
        var attemptIDs: Set<String> = []
        var jobIDs: Set<String> = []
        var answers: (count: Int, bytes: Int64) = (0, 0)
    }

    let configuration: ServiceConfiguration
    let facts: Facts
    let now: Timestamp

    private var rules: ArtifactRetention { configuration.artifactRetention }

    /// Asks the database.
    static func facts(_ reader: ReadTransaction, _ configuration: ServiceConfiguration, now: Timestamp) throws -> Facts {
        let rules = configuration.artifactRetention
        var facts = Facts()
        if let age = rules.attemptLogs { facts.attempts = try reader.replacedAttempts(endedBefore: now.earlier(by: age)) }
        if let age = rules.checkpoints { facts.checkpoints = try reader.supersededCheckpoints(endedBefore: now.earlier(by: age)) }
        if let age = rules.answers { facts.answers = try reader.storedAnswers(before: now.earlier(by: age)) }
        facts.pathsInUse = try reader.pathsInUse(below: configuration.datasetsDirectory)
        facts.attemptIDs = Set(try reader.attemptFolders().map(\.id))
        facts.jobIDs = Set(try reader.jobLiveness().map(\.id))
        return facts
    }

    /// Everything that may go.
    func items() throws -> [GarbageItem] {
        var items = try logs() + checkpoints()
        if let age = rules.leftovers {
            items += try contents(age) + uploads(age) + strangers("attempts", known: facts.attemptIDs, prefix: "att_", age)
            items += try strangers("jobs", known: facts.jobIDs, prefix: "job_", age)
        }
        items += try upgradeCopies()
        if facts.answers.count > 0 {
            items.append(
                GarbageItem(
                    kind: "answers", path: configuration.databasePath, bytes: facts.answers.bytes,
                    reason: "\(facts.answers.count) stored answers to requests, older than \(Self.text(rules.answers))"))
        }
        return items
    }

    private func logs() throws -> [GarbageItem] {
        try facts.attempts.flatMap { attempt in
            try ["stdout.log", "stderr.log"].compactMap { name -> GarbageItem? in
                let path = attempt.path + "/" + name
                guard attempt.path.hasPrefix(configuration.attemptsDirectory + "/"), let bytes = try Self.size(path), bytes > 0 else {
                    return nil
                }
                return GarbageItem(
                    kind: "attempt_log", id: attempt.id, path: path, bytes: bytes,
                    reason: "a later attempt of its job replaced it, and it ended more than \(Self.text(rules.attemptLogs)) ago")
            }
        }
    }

    private func checkpoints() throws -> [GarbageItem] {
        facts.checkpoints.filter { $0.path.hasPrefix(configuration.dataDirectory + "/") }.map {
            GarbageItem(
                kind: "checkpoint", id: $0.id, path: $0.path, bytes: $0.bytes,
                reason: "no output, input or evaluation names it, nobody pinned it, and its training ended more than "
                    + "\(Self.text(rules.checkpoints)) ago")
        }
    }

    /// Contents are named by their hashes, below a folder for the first two digits.
    private func contents(_ age: Duration) throws -> [GarbageItem] {
        let root = configuration.datasetsDirectory
        // A content may be a folder, of which a file within is named.
        let used = Set(
            facts.pathsInUse.filter { $0.hasPrefix(root + "/") }.map { path in
                root + "/" + path.dropFirst(root.count + 1).split(separator: "/").prefix(2).joined(separator: "/")
            })
        return try Folders.names(in: root).filter { $0.utf8.count == 2 }.flatMap { part in
            try Folders.names(in: root + "/" + part).compactMap { name in
                let path = "\(root)/\(part)/\(name)"
                guard !used.contains(path) else { return nil }
                return try item("content", path, age, "no dataset, output or input names this content")
            }
        }
    }

    private func uploads(_ age: Duration) throws -> [GarbageItem] {
        try Folders.names(in: configuration.uploadsDirectory).compactMap {
            try item("upload", configuration.uploadsDirectory + "/" + $0, age, "an upload that was never finished")
        }
    }

    private func strangers(_ folder: String, known: Set<String>, prefix: String, _ age: Duration) throws -> [GarbageItem] {
        let parent = configuration.dataDirectory + "/" + folder
        return try Folders.names(in: parent).filter { $0.hasPrefix(prefix) && !known.contains($0) }.compactMap {
            try item("folder", parent + "/" + $0, age, "the database knows no such \(prefix == "job_" ? "job" : "attempt")")
        }
    }

    private func upgradeCopies() throws -> [GarbageItem] {
        guard let age = rules.upgradeCopies else { return [] }
        let parent = configuration.dataDirectory + "/backups"
        // Their names begin with the time.
        let copies = try Folders.names(in: parent).filter { $0.hasSuffix(".db") }.sorted()
        return try copies.dropLast().compactMap {
            try item("upgrade_copy", parent + "/" + $0, age, "a copy of the database from before an upgrade, and there is a newer one")
        }
    }

    /// Whether what was found by its age has been left alone since: what is taken into use becomes new again.
    func isStillOld(_ item: GarbageItem) -> Bool {
        guard let age = item.kind == "upgrade_copy" ? rules.upgradeCopies : rules.leftovers else { return false }
        return status(ofOld: item.path, age) != nil
    }

    /// What the disk says of a file or folder that is older than `age`.
    private func status(ofOld path: String, _ age: Duration) -> stat? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        // A link to a file changes the time of its node and not of its content.
        let newest = max(status.st_mtim.tv_sec, status.st_ctim.tv_sec)
        return Int64(newest) * 1000 < now.earlier(by: age).milliseconds ? status : nil
    }

    private func item(_ kind: String, _ path: String, _ age: Duration, _ reason: String) throws -> GarbageItem? {
        guard let status = status(ofOld: path, age) else { return nil }
        let bytes = status.st_mode & S_IFMT == S_IFDIR ? try FileTree.bytes(of: path) : Int64(status.st_size)
        return GarbageItem(kind: kind, path: path, bytes: bytes, reason: reason + ", and it is older than \(Self.text(age))")
    }

    private static func size(_ path: String) throws -> Int64? {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
    }

    private static func text(_ age: Duration?) -> String {
        let seconds = Int64(age?.inSeconds ?? 0)
        return seconds.isMultiple(of: 86_400) && seconds > 0 ? "\(seconds / 86_400) d" : "\(seconds) s"
    }
}

extension Timestamp {
    /// The moment that is `span` before this one.
    fileprivate func earlier(by span: Duration) -> Timestamp { Timestamp(milliseconds: milliseconds - span.milliseconds) }
}
