import CPosix
import Crypto
import EventLoop
import Glibc
import Synchronization

/// Hashes and writes the pieces of a file on a thread of its own, so that making the next piece does not wait for the disk.
final class BackgroundFile: Sendable {
    /// Pieces that wait for the thread at most; guards memory.
    private static let waitingMax = 2

    /// What passes between the threads; the lock is never held for long.
    private struct Exchange {
        var waiting: [[UInt8]] = []
        /// Buffers that are empty again.
        var spare: [[UInt8]] = []
        /// What went wrong first; nothing is written after it.
        var failure: FileError?
    }

    /// What the thread alone changes.
    private struct Content {
        var hash = SHA256()
        var bytes: Int64 = 0
    }

    private let path: String
    private let descriptor: Int32
    private let exchange = Mutex(Exchange())
    private let content = Mutex(Content())
    private let thread = BlockingThread(name: "dataset-writer")
    // A POSIX semaphore, which is made for sharing.
    private nonisolated(unsafe) let room: UnsafeMutablePointer<sem_t>

    /// - Parameter path: the file's name in errors; its descriptor stays the caller's, who keeps it open until `stop`.
    init(path: String, descriptor: Int32) {
        (self.path, self.descriptor) = (path, descriptor)
        room = .allocate(capacity: 1)
        sem_init(room, 0, UInt32(Self.waitingMax))
    }

    deinit {
        sem_destroy(room)
        room.deallocate()
    }

    /// Takes what `buffer` holds, as soon as there is room for it, and leaves an empty one.
    func append(_ buffer: inout [UInt8]) throws(FileError) {
        while sem_wait(room) != 0 {}  // interrupted by a signal
        let failure = exchange.withLock { exchange in
            exchange.waiting.append(buffer)
            buffer = exchange.spare.popLast() ?? []
            return exchange.failure
        }
        thread.submit { [self] in
            take()
            sem_post(room)
        }
        if let failure { throw failure }
    }

    /// Waits for all pieces; the thread ends.
    func stop() { thread.stop() }

    /// The bytes and the hash of the whole, after `stop`.
    func result() throws(FileError) -> (bytes: Int64, sha256: String) {
        if let failure = exchange.withLock({ $0.failure }) { throw failure }
        return content.withLock { ($0.bytes, $0.hash.finalize().hexadecimal) }
    }

    private func take() {
        var piece = exchange.withLock { $0.waiting.removeFirst() }
        guard exchange.withLock({ $0.failure == nil }) else { return }
        do throws(FileError) {
            try content.withLock { content throws(FileError) in
                piece.withUnsafeBytes { content.hash.update(bufferPointer: $0) }
                try piece.writeAll(to: descriptor, path: path)
                cposix_begin_writing(descriptor, off_t(content.bytes), off_t(piece.count))
                content.bytes += Int64(piece.count)
            }
        } catch {
            exchange.withLock { $0.failure = error }
        }
        piece.removeAll(keepingCapacity: true)
        exchange.withLock { $0.spare.append(piece) }
    }
}

extension [UInt8] {
    /// Writes all bytes to a descriptor; `path` is the file's name in errors.
    func writeAll(to descriptor: Int32, path: String) throws(FileError) {
        var offset = 0
        while offset < count {
            let result = withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset) }
            if result >= 0 {
                offset += result
            } else if errno != EINTR {
                throw FileError(call: "write", path: path, code: errno)
            }
        }
    }
}
