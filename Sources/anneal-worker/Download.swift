import Datasets
import Domain
import EventLoop
import Glibc
import HTTPClient

/// The bounds of a download.
enum DownloadLimits {
    /// Bytes of a file whose source names no limit.
    static let bytesUsual: Int64 = 64 << 30
    /// Redirects followed.
    static let redirectsMax = 5
    /// Tries in a row that bring nothing at all: the address is wrong, or its server is down.
    static let firstTriesMax = 6
    /// Tries in a row that bring nothing new to what is there: a server that restarts is waited for.
    static let fruitlessTriesMax = 12
    /// The wait before the second try; it doubles with each further one.
    static let firstDelay: Duration = .milliseconds(250)
    /// The longest wait, also where a server asks for more.
    static let delayMax: Duration = .seconds(30)
    /// Bytes of the disk that a download leaves to others.
    static let reserveBytes: Int64 = 64 << 20
    /// Bytes between two looks at the disk.
    static let roomCheckBytes: Int64 = 16 << 20
    /// A transfer that brings less than this is given up, and tried again.
    static let lowSpeed = HTTPClientRequest.LowSpeed(bytesPerSecond: 1, time: .seconds(60))
}

/// Fetches a file over HTTP, over cut connections and ends of the worker.
///
/// A new connection goes on where the last one ended (`Range`) as long as the server's file is the same one (`If-Range`), and starts
/// anew where it is another.
@LoopActor
struct Download {
    let url: String
    /// What the file must have, in hexadecimal.
    var sha256: String?
    var bytesMax = DownloadLimits.bytesUsual
    let interruption: Interruption
    let progress: DownloadProgress

    /// How a connection ended that did not fail for good.
    private enum Ending {
        case complete
        case again(String, after: Duration?)
    }

    /// Fetches into `path`; what is there of an earlier attempt is used.
    func fetch(to path: String) async throws -> WrittenFile {
        let part = try PartialDownload(path: path, url: url)
        if part.bytes > 0 { WorkerLog.line("going on after \(part.bytes) bytes of an earlier attempt") }
        let client = HTTPClient(connectionsMax: 1)
        var (fruitless, most) = (0, part.bytes)
        while true {
            try interruption.check()
            let ending = try await connect(client, part)
            if case .complete = ending, let file = try whole(part) { return file }
            guard case .again(let reason, let delay) = ending else { continue }
            fruitless = part.bytes > most ? 1 : fruitless + 1
            most = max(most, part.bytes)
            guard fruitless < (most > 0 ? DownloadLimits.fruitlessTriesMax : DownloadLimits.firstTriesMax) else {
                throw Self.failed("\(reason); \(part.bytes) bytes had come; gave up after \(fruitless) tries that brought nothing new")
            }
            let usual = DownloadLimits.firstDelay * (1 << (fruitless - 1))
            let wait = min(DownloadLimits.delayMax, max(usual, delay ?? .zero))
            WorkerLog.line("\(reason); \(part.bytes) bytes are there, trying again in \(wait)")
            try await Task.sleep(for: wait)
        }
    }

    /// The file with its hash; `nil` where it was put together wrongly and is to be fetched once more in one piece.
    private func whole(_ part: PartialDownload) throws -> WrittenFile? {
        let file = try part.finish()
        guard let sha256, file.sha256 != sha256.lowercased() else { return file }
        guard part.isPieced else {
            throw WorkerFailure.badData("the file from \(url) has the hash \(file.sha256), not \(sha256)")
        }
        WorkerLog.line("the hash is not \(sha256); the pieces may be of different files, fetching it anew")
        try part.begin(PartialDownload.Version())
        return nil
    }

    private func connect(_ client: HTTPClient, _ part: PartialDownload) async throws -> Ending {
        // What the server may have changed meanwhile is fetched anew, unless the hash will tell.
        if part.bytes > 0, part.version.validator == nil, sha256 == nil { try part.begin(PartialDownload.Version()) }
        var headers: [(name: String, value: String)] = []
        if part.bytes > 0 {
            headers.append(("Range", "bytes=\(part.bytes)-"))
            if let validator = part.version.validator { headers.append(("If-Range", validator)) }
        }
        let request = HTTPClientRequest(
            url: url, headers: headers, timeout: nil, responseBytesMax: 1 << 20, lowSpeed: DownloadLimits.lowSpeed,
            redirectsMax: DownloadLimits.redirectsMax)
        let receiver = DownloadReceiver(part, bytesMax: bytesMax, interruption: interruption, progress: progress)
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await client.stream(request, onHead: { receiver.begin($0) }, onChunk: { receiver.take($0) })
        } catch {
            if let failure = receiver.failure { throw failure }
            if Task.isCancelled { throw WorkerFailure.interrupted }
            if receiver.isMisplaced {
                try part.begin(PartialDownload.Version())
                return .again("\(url): the server sent another part than was asked for", after: nil)
            }
            return .again(try Self.passing(error), after: nil)
        }
        if let failure = receiver.failure { throw failure }
        return try ending(response, part)
    }

    /// The message of an error that may be gone at the next try; others are thrown.
    private static func passing(_ error: HTTPClientError) throws(WorkerFailure) -> String {
        switch error.curlCode {
        case CurlCode.tooManyRedirects, CurlCode.certificate: throw .badRequest("/source/url", error.message)
        default: break
        }
        if error.code == .invalidURL { throw .badRequest("/source/url", error.message) }
        return error.message
    }

    private enum CurlCode {
        static let tooManyRedirects = 47
        static let certificate = 60
    }

    private func ending(_ response: HTTPClientResponse, _ part: PartialDownload) throws -> Ending {
        let answered = "the server answered \(response.status) for \(url)"
        switch response.status {
        case 200, 206:
            if let total = part.version.total, part.bytes != total {
                return .again("\(url): \(part.bytes) of \(total) bytes came", after: nil)
            }
            return .complete
        case 416:
            // Nothing is left to send: the file is there already, where its size is the same.
            if part.bytes > 0, response.header("Content-Range") == "bytes */\(part.bytes)" { return .complete }
            try part.begin(PartialDownload.Version())
            return .again(answered, after: nil)
        case 408, 429, 500...599:
            return .again(answered, after: response.header("Retry-After").flatMap { Int($0) }.map { .seconds(max(0, $0)) })
        default: throw WorkerFailure.badRequest("/source/url", answered)
        }
    }

    /// A failure that may be gone at the next attempt.
    private static func failed(_ message: String) -> WorkerFailure {
        WorkerFailure(exitCode: WorkerFailure.ExitCode.failed, reason: .network, message: message)
    }
}

/// Takes one answer piece by piece.
@LoopActor
private final class DownloadReceiver {
    private let part: PartialDownload
    private let bytesMax: Int64
    private let interruption: Interruption
    private let progress: DownloadProgress
    private(set) var failure: WorkerFailure?
    /// The server sent a part that does not follow what is there.
    private(set) var isMisplaced = false
    private var roomCheckedAt: Int64 = 0

    init(_ part: PartialDownload, bytesMax: Int64, interruption: Interruption, progress: DownloadProgress) {
        (self.part, self.bytesMax, self.interruption, self.progress) = (part, bytesMax, interruption, progress)
    }

    /// Looks at the head of an answer; what it finds shows when the body comes, which it can then end.
    func begin(_ head: HTTPClientResponse) {
        do {
            switch head.status {
            case 200: try part.begin(PartialDownload.Version(head))
            case 206:
                guard let range = head.header("Content-Range"), let (start, total) = Self.range(range), start == part.bytes,
                    total == nil || part.version.total == nil || total == part.version.total
                else { return isMisplaced = true }
                part.goOn(total: total)
            default: return
            }
            try check(part.version.total ?? part.bytes)
            roomCheckedAt = part.bytes
        } catch {
            failure = WorkerFailure(error)
        }
    }

    /// The first byte and the size of the whole in `bytes 100-199/1000`.
    private static func range(_ text: String) -> (start: Int64, total: Int64?)? {
        guard text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/")
        guard parts.count == 2, let start = parts[0].split(separator: "-").first.flatMap({ Int64($0) }) else { return nil }
        return (start, Int64(parts[1]))
    }

    /// Refuses a file of so many bytes that it may not have or that do not fit.
    private func check(_ size: Int64) throws {
        guard size <= bytesMax else {
            throw WorkerFailure.badData("the file has more than \(bytesMax) bytes; 'bytes_max' of the source sets the limit")
        }
        let free = try part.freeBytes()
        guard size - part.bytes <= free - DownloadLimits.reserveBytes else {
            let needed = "\(size - part.bytes) more bytes are needed, \(free) are free on the disk of \(part.path)"
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .diskFull,
                message: "\(needed), of which \(DownloadLimits.reserveBytes) are left to others")
        }
    }

    func take(_ piece: [UInt8]) -> Bool {
        guard failure == nil, !isMisplaced else { return false }
        do {
            try interruption.check()
            let size = part.bytes + Int64(piece.count)
            if size > bytesMax || size - roomCheckedAt > DownloadLimits.roomCheckBytes {
                try check(size)
                roomCheckedAt = size
            }
            try part.append(piece)
            try progress.update(part.bytes, of: part.version.total)
            return true
        } catch {
            failure = WorkerFailure(error)
            return false
        }
    }
}
