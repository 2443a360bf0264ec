import Datasets
import Glibc
import JSON

/// The finished records of one run over the data, appended as they come, each with its place among all.
///
/// The form is NeMo-Skills' `-async` file: the output's records with a last member `_async_position`. A line is on file before it counts,
/// so that a killed generation goes on with what is missing, in any order; a last line that was cut is dropped. Memory holds only where
/// each record is.
public final class GenerationLedger {
    private static let suffixName = Array(", \"_async_position\": ".utf8)

    public let path: String
    private let descriptor: Int32
    /// By position; an offset of -1 where the record is missing.
    private var places: [(offset: Int, count: Int32)]
    private var end = 0
    public private(set) var count = 0

    /// Opens or makes the file for so many records.
    public init(path: String, recordCount: Int) throws {
        self.path = path
        places = Array(repeating: (-1, 0), count: recordCount)
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        try JSONLineReader(path: path).read { line in
            guard line.isTerminated else { return }
            end = line.offset + line.bytes.count + 1
            // A line that was damaged is as good as a record that is missing: it is asked for again.
            guard let found = Self.position(of: line.bytes), places.indices.contains(found.position) else { return }
            note(found.position, offset: line.offset, count: found.length)
        }
        guard ftruncate(descriptor, off_t(end)) == 0 else { throw FileError(call: "ftruncate", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    public func contains(_ position: Int) -> Bool { places[position].offset >= 0 }

    /// Appends a record, a JSON object's bytes, with one write(2). A record that is there already stays as it is.
    public func append(_ record: [UInt8], at position: Int) throws(FileError) {
        guard !contains(position) else { return }
        var line = record
        line.removeLast()
        line.append(contentsOf: Self.suffixName)
        line.append(contentsOf: "\(position)}\n".utf8)
        let result = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard result == line.count else {
            let code = result < 0 ? errno : ENOSPC
            // A write that stopped half-way must not be glued to the next line.
            ftruncate(descriptor, off_t(end))
            throw FileError(call: "write", path: path, code: code)
        }
        note(position, offset: end, count: record.count - 1)
        end += line.count
    }

    /// The record without its place; `nil` where it is missing.
    public func record(at position: Int) throws(FileError) -> [UInt8]? {
        let place = places[position]
        guard place.offset >= 0 else { return nil }
        var bytes = try FilePiece.read(descriptor, path: path, offset: place.offset, count: Int(place.count))
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// Brings the records to disk.
    public func sync() throws(FileError) {
        guard fdatasync(descriptor) == 0 else { throw FileError(call: "fdatasync", path: path, code: errno) }
    }

    /// Removes the file once its records stand in the final one.
    public func remove() { unlink(path) }

    private func note(_ position: Int, offset: Int, count length: Int) {
        if places[position].offset < 0 { count += 1 }
        places[position] = (offset, Int32(length))
    }

    /// The record of a line, without its place; `nil` where the line is none of a ledger's.
    public static func record(of line: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        position(of: line).map { Array(line[..<$0.length]) + [UInt8(ascii: "}")] }
    }

    /// The place that stands at the end of a line, and the bytes before it.
    public static func position(of line: UnsafeBufferPointer<UInt8>) -> (position: Int, length: Int)? {
        guard line.first == UInt8(ascii: "{"), line.last == UInt8(ascii: "}") else { return nil }
        var start = line.count - 1
        while start > 0, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(line[start - 1]) { start -= 1 }
        let length = start - suffixName.count
        guard length > 0, line[length..<start].elementsEqual(suffixName) else { return nil }
        return Int(String(decoding: line[start..<(line.count - 1)], as: UTF8.self)).map { ($0, length) }
    }
}
