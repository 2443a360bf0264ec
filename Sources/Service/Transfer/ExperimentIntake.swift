import APITypes
import Archive
import Domain
import EventLoop
import Store
import Synchronization

/// What an import is told beside its archive.
public struct ImportRequest: Sendable, Hashable {
    /// The project that the experiment becomes part of; `nil` for that of its origin.
    public var project: String?
    /// Whether it gets new identifiers throughout, beside one that is there already.
    public var copies: Bool

    public init(project: String? = nil, copies: Bool = false) { (self.project, self.copies) = (project, copies) }
}

/// An experiment on its way in: its archive's members go to a folder of their own, and become part of the data when all are there and sound.
@LoopActor
public final class ExperimentIntake {
    private let service: AnnealService
    private let folder: String
    private nonisolated let intake: Mutex<Result<ArchiveIntake, any Error>>
    /// Bytes accepted and not yet written.
    public private(set) var pendingBytes = 0
    private var isOpen = true

    init(service: AnnealService, limits: ImportLimits) throws {
        self.service = service
        folder = service.configuration.uploadsDirectory + "/" + ImportFolder.prefix + service.identifiers.next(.request)
        intake = Mutex(.success(try ArchiveIntake(folder: folder, limits: limits)))
    }

    /// Takes bytes; `onWritten` is called on the loop when they are written. After a fault nothing more is.
    public func append(_ bytes: [UInt8], onWritten: @escaping @LoopActor () -> Void) {
        pendingBytes += bytes.count
        Task { @LoopActor in
            do {
                try await service.transfers.run { [self] in take(bytes) }
            } catch {
                // Only a daemon that stops runs nothing any more; `finish` meets the same.
                service.log.debug("an import was given up", metadata: ["error": "\(error)"])
            }
            pendingBytes -= bytes.count
            onWritten()
        }
    }

    private nonisolated func take(_ bytes: [UInt8]) {
        intake.withLock { state in
            guard case .success(var intake) = state else { return }
            // Let go of, so that it is not copied when it changes.
            state = .failure(CancellationError())
            do {
                try intake.take(bytes)
                state = .success(intake)
            } catch {
                intake.abandon()
                state = .failure(error)
            }
        }
    }

    /// Makes what has arrived an experiment of this daemon.
    ///
    /// - Parameter reach: whose experiments the caller may touch.
    public func finish(_ request: ImportRequest, within reach: Reach) async throws -> ImportView {
        defer { discard() }
        do {
            let (archive, record, manifest) = try await service.transfers.run { [self] in
                try intake.withLock { state in
                    let archive = try state.get()
                    let (record, manifest) = try archive.finish()
                    return (archive, record, manifest)
                }
            }
            let import_ = ExperimentImport(
                archive: archive, record: record, manifest: manifest, request: request, configuration: service.configuration)
            return try await service.take(import_, within: reach)
        } catch let error as TarError {
            throw ServiceError(error.isTooLarge ? .tooLarge : .badRequest, error.description)
        }
    }

    /// Removes what came and is not taken over.
    public func discard() {
        guard isOpen else { return }
        isOpen = false
        service.transfers.submit { [self] in
            intake.withLock { state in
                if case .success(var intake) = state { intake.abandon() }
                state = .failure(CancellationError())
            }
            // What is left goes when the daemon starts.
            try? Folders.remove(folder)
        }
    }
}
