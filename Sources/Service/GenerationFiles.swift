import Glibc
import Store

/// Where the records of a pass are: in the ledger while it is open, else in the final file.
struct GenerationFiles: Sendable {
    let path: String
    /// A ledger's lines carry their positions; those of a final file are in order and whole.
    let isLedger: Bool

    /// Looks for the file in a job's output folder. Blocks: call it off the loop.
    ///
    /// - Parameter needsWhole: whether a final file counts only with its marker, which says that it lacks no record.
    static func find(_ pass: GenerationPassRecord, in folder: String, needsWhole: Bool) -> GenerationFiles? {
        // A greedy pass has no seed in its name, and one over all records no chunk; the row does not tell these apart from seed 0 of 1.
        for name in ["output-rs\(pass.seed)", "output"] {
            for chunk in ["_chunk_\(pass.chunk)", ""] {
                let path = "\(folder)/\(name)\(chunk).jsonl"
                if access(path + ".done", F_OK) == 0, access(path, R_OK) == 0 { return GenerationFiles(path: path, isLedger: false) }
                if access(path + "-async", R_OK) == 0 { return GenerationFiles(path: path + "-async", isLedger: true) }
                if !needsWhole, access(path, R_OK) == 0 { return GenerationFiles(path: path, isLedger: false) }
            }
        }
        return nil
    }
}
