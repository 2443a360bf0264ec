import Datasets
import JSON

/// The file that tells the daemon what a worker made.
struct OutputsFile: Sendable {
    let path: String

    /// Writes the document under a temporary name and renames it.
    func write(_ document: JSONObject) throws(FileError) {
        let writer = try DatasetWriter(path: path)
        try writer.append(line: JSONWriter(layout: .pretty).bytes(of: .object(document)))
        _ = try writer.finish()
    }
}
