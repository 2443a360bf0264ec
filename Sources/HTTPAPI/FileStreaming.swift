import EventLoop
import Glibc
import HTTPServer
import Service

/// Sends files in pieces, at the pace of the reader.
enum FileStreaming {
    private static let pieceBytes = 256 * 1024

    /// Sends the bytes `from..<to` of a file as the whole answer.
    @LoopActor
    static func send(path: String, from: Int64, to: Int64, _ call: Call, headers: HTTPHeaders) async throws {
        let files = call.service.reading
        var offset = from
        try await send(call, headers: headers) {
            let start = offset
            let piece = try await files.run { try read(path: path, at: start, upTo: to) }
            offset += Int64(piece.count)
            return piece
        }
    }

    /// Sends what `next` hands out as the whole answer, until it hands out nothing.
    @LoopActor
    static func send(_ call: Call, headers: HTTPHeaders, next: @LoopActor () async throws -> [UInt8]) async throws {
        // The first piece is made before the answer begins, so that what cannot be read is a problem and not a torn answer.
        var piece = try await next()
        let writer = call.exchange.startStreaming(.ok, headers: headers)
        let pace = Pace(writer)
        call.exchange.onDisconnect = { pace.stop() }
        while !piece.isEmpty, !pace.isStopped {
            writer.write(piece)
            await pace.wait()
            do {
                piece = try await next()
            } catch {
                // The answer has begun; closing without its end is the one way left to say that it is not whole.
                return writer.abort()
            }
        }
        if !pace.isStopped { writer.finish() }
    }

    /// All of a small file.
    static func whole(path: String, bytes size: Int64) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while case let piece = try read(path: path, at: Int64(bytes.count), upTo: size), !piece.isEmpty { bytes += piece }
        return bytes
    }

    static func read(path: String, at offset: Int64, upTo end: Int64) throws -> [UInt8] {
        let count = Int(min(Int64(pieceBytes), end - offset))
        guard count > 0 else { return [] }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return [] }
            throw ServiceError(.internal, "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        while true {
            let got = pread(descriptor, &bytes, count, off_t(offset))
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw ServiceError(.internal, "cannot read \(path): \(String(cString: strerror(errno)))") }
            return Array(bytes[..<got])
        }
    }
}

/// Holds a sender back while its reader has not taken what was sent.
@LoopActor
final class Pace {
    private let writer: HTTPBodyWriter
    private var waiting: CheckedContinuation<Void, Never>?
    private(set) var isStopped = false

    init(_ writer: HTTPBodyWriter) {
        self.writer = writer
        writer.onDrain = { [weak self] in self?.release() }
    }

    /// Returns when little is unsent, or the reader has gone.
    func wait() async {
        guard !isStopped, writer.bufferedBytes > ServiceLimits.streamBufferBytesMax else { return }
        await withCheckedContinuation { waiting = $0 }
    }

    func stop() {
        isStopped = true
        release()
    }

    private func release() {
        waiting?.resume()
        waiting = nil
    }
}
