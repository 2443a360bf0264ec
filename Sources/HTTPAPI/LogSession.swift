import EventLoop
import Glibc
import HTTPServer
import JSON
import Service

/// Sends the logs of one attempt, and goes on while they grow where the client follows.
///
/// The files are the truth: a client that counts bytes can leave at any time and go on at its offset.
@LoopActor
final class LogSession {
    /// How often a followed file is looked at, beside the notices of the kernel.
    private static let lookEvery: Duration = .milliseconds(500)
    private nonisolated static let pieceBytes: Int64 = 256 * 1024

    private struct Position {
        let stream: String
        let path: String
        var offset: Int64
    }

    private let call: Call
    private let source: LogSource
    private let asEvents: Bool
    private var positions: [Position]
    private var wake: CheckedContinuation<Void, Never>?
    private var hasNews = false
    private var mask = SecretMask(values: [])

    init(_ call: Call, source: LogSource, streams: [String], asEvents: Bool) {
        self.call = call
        self.source = source
        self.asEvents = asEvents
        positions = streams.map { stream in
            Position(stream: stream, path: (source.directory ?? "") + "/" + stream + ".log", offset: 0)
        }
    }

    func run(offset: Int64, tail: Int?, follow: Bool) async throws {
        mask = try await call.service.mask(for: source)
        for index in positions.indices {
            positions[index].offset = offset
            guard let tail else { continue }
            let path = positions[index].path
            positions[index].offset = try await call.service.reading.run { try LogTail.offset(ofLast: tail, in: path) }
        }
        var headers = HTTPHeaders()
        headers.set("Content-Type", asEvents ? StreamFormat.eventStream.contentType : "text/plain; charset=utf-8")
        headers.set("Cache-Control", "no-store")
        headers.set("X-Accel-Buffering", "no")
        let writer = call.exchange.startStreaming(.ok, headers: headers)
        let pace = Pace(writer)
        call.exchange.onDisconnect = { [weak self] in
            pace.stop()
            self?.news()
        }
        if follow {
            call.exchange.onShutdown = { [weak self] in
                pace.stop()
                writer.finish()
                self?.news()
            }
        }
        do {
            try await send(writer, pace)
            if follow { try await self.follow(writer, pace) }
        } catch {
            // The answer has begun; closing without its end is the one way left to say that it is not whole.
            call.service.log.error("a log could not be read to its end", metadata: ["error": "\(error)"])
            return writer.abort()
        }
        guard !pace.isStopped else { return }
        if asEvents { writer.write(StreamFormat.eventStream.frame(type: "end", id: nil, document: [:])) }
        writer.finish()
    }

    /// Sends what the files hold beyond the positions.
    private func send(_ writer: HTTPBodyWriter, _ pace: Pace) async throws {
        for index in positions.indices {
            while !pace.isStopped {
                let (path, offset) = (positions[index].path, positions[index].offset)
                let mask = mask
                let piece = try await call.service.reading.run { try Self.piece(path, at: offset, mask) }
                if piece.isEmpty { break }
                positions[index].offset += Int64(piece.count)
                writer.write(asEvents ? event(piece, stream: positions[index].stream, at: offset) : piece)
                await pace.wait()
            }
        }
    }

    /// A piece of a log with the secrets in it hidden, also those that begin before it or end behind it.
    private nonisolated static func piece(_ path: String, at offset: Int64, _ mask: SecretMask) throws -> [UInt8] {
        let context = Int64(mask.contextBytes)
        let start = max(0, offset - context)
        let end = offset + pieceBytes
        var bytes: [UInt8] = []
        while case let more = try FileStreaming.read(path: path, at: start + Int64(bytes.count), upTo: end + context), !more.isEmpty {
            bytes += more
        }
        mask.hide(in: &bytes)
        return Array(bytes.dropFirst(Int(offset - start)).prefix(Int(pieceBytes)))
    }

    private func follow(_ writer: HTTPBodyWriter, _ pace: Pace) async throws {
        // A folder that cannot be watched is looked at by the timer alone.
        let watcher = try? PathWatcher(path: source.directory ?? "/") { [weak self] _ in self?.news() }
        let timer = LoopTimer(after: Self.lookEvery, every: Self.lookEvery) { [weak self] in self?.news() }
        defer {
            watcher?.cancel()
            timer.cancel()
        }
        while !pace.isStopped {
            // Asked before the files are read: what an attempt wrote before its end was recorded is then certainly read.
            let isLive = try await call.service.isLive(attempt: source.attemptID)
            try await send(writer, pace)
            if !isLive { return }
            if !hasNews { await withCheckedContinuation { wake = $0 } }
            hasNews = false
        }
    }

    private func news() {
        hasNews = true
        wake?.resume()
        wake = nil
    }

    private func event(_ piece: [UInt8], stream: String, at offset: Int64) -> [UInt8] {
        let document: JSONValue = [
            "job_id": .string(source.jobID), "attempt_id": source.attemptID.map(JSONValue.string) ?? .null, "stream": .string(stream),
            "offset": .int(offset), "end": .int(offset + Int64(piece.count)), "text": .string(String(decoding: piece, as: UTF8.self)),
        ]
        return StreamFormat.eventStream.frame(type: "log", id: String(offset + Int64(piece.count)), document: document)
    }
}

/// Finds the last lines of a file.
enum LogTail {
    private static let blockBytes: Int64 = 64 * 1024

    /// The offset at which the last `count` lines of a file begin; 0 where it has fewer or does not exist.
    static func offset(ofLast count: Int, in path: String) throws -> Int64 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return 0 }
        var end = Int64(status.st_size)
        var lines = 0
        var isLastByte = true
        while end > 0 {
            let start = max(0, end - blockBytes)
            let block = try FileStreaming.read(path: path, at: start, upTo: end)
            for index in block.indices.reversed() {
                // The line end that closes the file begins no line.
                if block[index] == UInt8(ascii: "\n"), !isLastByte {
                    lines += 1
                    if lines == count { return start + Int64(index) + 1 }
                }
                if count == 0 { return end }
                isLastByte = false
            }
            if block.isEmpty { return start }
            end = start
        }
        return 0
    }
}
