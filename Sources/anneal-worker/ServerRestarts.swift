import JSON

/// What the servers of a job had to be lowered to, for the job's summary.
enum ServerRestarts {
    /// How the notes of `ServerStarter` are called in a job's output folder.
    static func note(of server: String) -> String { server + noteEnding }

    private static let noteEnding = ".limit.json"

    /// Adds `server_restart` to the summary of outputs.json where a server was started again with a smaller limit.
    static func tell(_ document: JSONObject, context: WorkerContext) throws -> JSONObject {
        let notes = try Folder.names(in: context.outputFolder).filter { $0.hasSuffix(noteEnding) }.sorted()
        let texts = try notes.compactMap { try WorkerContext.readDocument(context.outputFolder + "/" + $0)["restart"]?.string }
        guard !texts.isEmpty else { return document }
        var document = document
        var summary = document["summary"]?.object ?? [:]
        summary["server_restart"] = .string(texts.joined(separator: "; "))
        document["summary"] = .object(summary)
        return document
    }
}
