import Datasets
import Domain
import EventLoop
import Glibc
import HTTPClient

/// Fetches a source file over HTTP.
enum Download {
    /// Bytes of a file that is fetched.
    static let bytesMax: Int64 = 64 << 30
    /// A transfer that brings less than this is given up.
    private static let lowSpeed = HTTPClientRequest.LowSpeed(bytesPerSecond: 1, time: .seconds(60))

    /// Takes the body piece by piece.
    @LoopActor
    private final class Receiver {
        private let writer: DatasetWriter
        private let interruption: Interruption
        private(set) var failure: WorkerFailure?
        private var bytes: Int64 = 0

        init(path: String, interruption: Interruption) throws(FileError) {
            writer = try DatasetWriter(path: path)
            self.interruption = interruption
        }

        func take(_ piece: [UInt8]) -> Bool {
            bytes += Int64(piece.count)
            do {
                try interruption.check()
                guard bytes <= bytesMax else { throw WorkerFailure.badData("the file has more than \(bytesMax) bytes") }
                try writer.append(bytes: piece)
                return true
            } catch {
                failure = WorkerFailure(error)
                return false
            }
        }

        func finish() throws(FileError) -> WrittenFile { try writer.finish() }
    }

    /// Fetches `url` into `path` and checks its hash where one is given.
    @LoopActor
    static func fetch(_ url: String, sha256: String?, to path: String, interruption: Interruption) async throws -> WrittenFile {
        let receiver = try Receiver(path: path, interruption: interruption)
        let client = HTTPClient(connectionsMax: 1)
        let request = HTTPClientRequest(url: url, timeout: nil, responseBytesMax: 1 << 20, lowSpeed: lowSpeed, redirectsMax: 5)
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await client.stream(request, onChunk: { receiver.take($0) })
        } catch {
            if let failure = receiver.failure { throw failure }
            if Task.isCancelled { throw WorkerFailure.interrupted }
            if error.code == .invalidURL { throw WorkerFailure.badRequest("/source/url", error.message) }
            throw failed(error.message)
        }
        if (400..<500).contains(response.status), response.status != 408, response.status != 429 {
            throw WorkerFailure.badRequest("/source/url", "the server answered \(response.status) for \(url)")
        }
        guard response.isSuccess else { throw failed("the server answered \(response.status) for \(url)") }
        let file = try receiver.finish()
        if let sha256, file.sha256 != sha256.lowercased() {
            unlink(path)
            throw WorkerFailure.badData("the file from \(url) has the hash \(file.sha256), not \(sha256)")
        }
        return file
    }

    /// A failure that may be gone at the next attempt.
    private static func failed(_ message: String) -> WorkerFailure {
        WorkerFailure(exitCode: WorkerFailure.ExitCode.failed, reason: Reason(rawValue: "download_failed"), message: message)
    }
}
