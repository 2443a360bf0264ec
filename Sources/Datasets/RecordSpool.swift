import Glibc

/// Bytes that are written once, in order, and read back in any order.
///
/// Up to a limit they stay in memory; beyond it they are in a file that has no name and vanishes with the process.
final class RecordSpool {
    /// Bytes kept in memory before the file is made.
    static let memoryBytesMax = 48 << 20
    /// Bytes gathered for one write(2) to the file.
    private static let bufferBytesMax = 1 << 20

    private let folder: String
    private let memoryBytesMax: Int
    private var tail: [UInt8] = []
    private var fileBytes = 0
    private var descriptor: Int32 = -1

    init(folder: String, memoryBytesMax: Int = RecordSpool.memoryBytesMax) {
        (self.folder, self.memoryBytesMax) = (folder, memoryBytesMax)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether the bytes have gone to a file.
    var isOnDisk: Bool { descriptor >= 0 }

    var count: Int { fileBytes + tail.count }

    func append(_ bytes: some Collection<UInt8>) throws(FileError) {
        tail.append(contentsOf: bytes)
        if tail.count >= (descriptor < 0 ? memoryBytesMax : Self.bufferBytesMax) { try flush() }
    }

    /// Puts the bytes of `range` in the place of what `output` holds.
    func read(_ range: Range<Int>, into output: inout [UInt8]) throws(FileError) {
        output.removeAll(keepingCapacity: true)
        let inFile = range.clamped(to: 0..<fileBytes)
        if !inFile.isEmpty { try readFile(inFile, into: &output) }
        if range.upperBound > fileBytes {
            output.append(contentsOf: tail[(max(range.lowerBound, fileBytes) - fileBytes)..<(range.upperBound - fileBytes)])
        }
    }

    /// Hands the bytes of `range` to `body`, without a copy where they are in memory; `scratch` takes them where they are not.
    func withBytes(_ range: Range<Int>, scratch: inout [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Void) throws(FileError) {
        guard range.lowerBound < fileBytes else {
            let place = (range.lowerBound - fileBytes)..<(range.upperBound - fileBytes)
            return tail.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[place])) }
        }
        try read(range, into: &scratch)
        scratch.withUnsafeBufferPointer(body)
    }

    private func readFile(_ range: Range<Int>, into output: inout [UInt8]) throws(FileError) {
        var done = 0
        output.append(contentsOf: repeatElement(0, count: range.count))
        while done < range.count {
            let result = output.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { pread(descriptor, $0 + done, range.count - done, off_t(range.lowerBound + done)) } ?? 0
            }
            if result < 0, errno == EINTR { continue }
            guard result > 0 else { throw FileError(call: "pread", path: folder, code: result < 0 ? errno : EIO) }
            done += result
        }
    }

    private func flush() throws(FileError) {
        if descriptor < 0 { try open() }
        var offset = 0
        while offset < tail.count {
            let result = tail.withUnsafeBytes { bytes in
                bytes.baseAddress.map { pwrite(descriptor, $0 + offset, bytes.count - offset, off_t(fileBytes)) } ?? 0
            }
            if result < 0, errno == EINTR { continue }
            guard result > 0 else { throw FileError(call: "pwrite", path: folder, code: result < 0 ? errno : ENOSPC) }
            offset += result
            fileBytes += result
        }
        if tail.count > Self.bufferBytesMax { tail = [] } else { tail.removeAll(keepingCapacity: true) }
    }

    private func open() throws(FileError) {
        for number in 0... {
            let path = "\(folder)/.spool-\(getpid())-\(number)"
            descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if descriptor < 0, errno == EEXIST { continue }
            guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
            // Without a name the space is given back however the process ends.
            unlink(path)
            return
        }
    }
}
