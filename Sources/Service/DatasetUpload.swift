import APITypes
import Datasets
import Domain
import EventLoop
import Glibc
import JSON
import Store
import Synchronization

/// A dataset on its way in: its bytes go to a temporary file in order, and become a version when they are valid.
///
/// The writer thread is slower than a fast client; `pending` tells how far, so that the caller can stop reading.
@LoopActor
public final class DatasetUpload {
    private let service: AnnealService
    private let path: String
    private let descriptor: Int32
    /// Bytes accepted and not yet written.
    public private(set) var pendingBytes = 0
    /// The first write that failed. It is set on the writer's thread, so that `finish`, which is in line behind every write, sees it.
    private nonisolated let failure = Mutex<(any Error)?>(nil)

    init(service: AnnealService) throws {
        self.service = service
        path = service.configuration.uploadsDirectory + "/" + service.identifiers.next(.dataset)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Folders.failure("create", path) }
    }

    /// Appends bytes; `onWritten` is called on the loop when they are in the file.
    public func append(_ bytes: [UInt8], onWritten: @escaping @LoopActor () -> Void) {
        pendingBytes += bytes.count
        let descriptor = descriptor
        let path = path
        Task { @LoopActor in
            do {
                try await service.files.run { [self] in record { try Self.write(bytes, to: descriptor, path: path) } }
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
            pendingBytes -= bytes.count
            onWritten()
        }
    }

    /// Runs on the writer's thread; after a failure nothing more is written, so that the file holds no gap.
    private nonisolated func record(_ write: () throws -> Void) {
        guard failure.withLock({ $0 == nil }) else { return }
        do { try write() } catch { failure.withLock { $0 = error } }
    }

    private nonisolated static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Folders.failure("write to", path) }
            rest = rest.dropFirst(count)
        }
    }

    /// Validates what has arrived and registers it.
    ///
    /// - Returns: the dataset, and whether it is a new version.
    public func finish(name: String, format: String?) async throws -> (DatasetView, isNew: Bool) {
        let path = path
        let descriptor = descriptor
        defer { discard() }
        try await service.files.run { [self] in
            if let failure = failure.withLock({ $0 }) { throw failure }
            guard fsync(descriptor) == 0 else { throw Folders.failure("flush", path) }
        }
        return try await service.registerContent(
            at: path, name: name, format: format.flatMap(DatasetFormat.init(rawValue:)), source: ["kind": "upload"])
    }

    private var isOpen = true

    /// Removes the temporary file; the content store has its own link.
    public func discard() {
        guard isOpen else { return }
        isOpen = false
        let descriptor = descriptor
        let path = path
        service.files.submit {
            close(descriptor)
            unlink(path)
        }
    }
}

extension AnnealService {
    /// Begins an upload; its temporary file is removed at the end, whatever that end is.
    ///
    /// - Parameter announcedBytes: its size, where the client says it: what cannot fit is refused before it is sent.
    public func beginUpload(announcedBytes: Int64?) throws -> DatasetUpload {
        // What is over the limit of any upload is told so when its body is taken.
        if let announcedBytes, announcedBytes <= ServiceLimits.uploadBytesMax {
            try DatasetRoom.check(announcedBytes, in: configuration.uploadsDirectory)
        }
        return try DatasetUpload(service: self)
    }
}
