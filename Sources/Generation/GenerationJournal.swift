import Datasets
import Domain
import Glibc

/// The journal of an attempt, which the daemon follows: see `GenerationEntry`.
///
/// Each entry is one write(2) after that of the ledger, so that a kill between the two costs the journal one line. The next attempt begins
/// with what the ledger holds.
public final class GenerationJournal {
    private let path: String
    private let descriptor: Int32

    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    public func append(_ entry: GenerationEntry) throws(FileError) {
        let line = entry.line
        let result = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard result == line.count else { throw FileError(call: "write", path: path, code: result < 0 ? errno : ENOSPC) }
    }

    /// Tells of what is there when a pass begins.
    public func begin(_ pass: GenerationEntry.Pass, _ contains: (Int) -> Bool) throws(FileError) {
        try append(.pass(pass))
        var ranges: [ClosedRange<Int>] = []
        var position = 0
        while position < pass.total {
            guard contains(position) else {
                position += 1
                continue
            }
            let start = position
            while position < pass.total, contains(position) { position += 1 }
            ranges.append(start...(position - 1))
            if ranges.count == GenerationEntry.rangesMax {
                try append(.have(seed: pass.seed, ranges: ranges))
                ranges = []
            }
        }
        if !ranges.isEmpty { try append(.have(seed: pass.seed, ranges: ranges)) }
    }
}
