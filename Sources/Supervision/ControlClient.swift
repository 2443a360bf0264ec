import CPosix
import EventLoop
import Glibc
import JSON

/// One command to a shim over `ctl.sock`, and its answer.
@LoopActor
final class ControlClient {
    /// For the whole exchange; a shim answers within a millisecond unless it is stopped or the machine is.
    private static let patience: Duration = .seconds(5)
    private static let answerBytesMax = 65_536

    private let descriptor: Int32
    private var watcher: DescriptorWatcher?
    private var timer: LoopTimer?
    private var answer: [UInt8] = []
    private var continuation: CheckedContinuation<JSONValue, any Error>?

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Sends the command and returns the shim's answer. Throws `unreachable` or, where the shim says no, `refused`.
    static func exchange(_ command: JSONValue, folder: AttemptFolder, files: BlockingThread) async throws -> JSONValue {
        let descriptor = try await files.run { try connect(folder, sending: command) }
        let reply = try await ControlClient(descriptor: descriptor).receive()
        guard reply["ok"]?.bool == true else {
            throw SupervisionError(.refused, message: reply["error"]?.string ?? "the supervisor gave no reason")
        }
        return reply
    }

    /// Blocks only for the file system: a local stream socket connects at once or not at all.
    private nonisolated static func connect(_ folder: AttemptFolder, sending command: JSONValue) throws -> Int32 {
        // The folder's path may be longer than a socket's address: /proc/self/fd/N is a short name for it.
        let directory = cposix_open(AT_FDCWD, folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard directory >= 0 else { throw SupervisionError.system(.unreachable, "open the attempt's folder") }
        defer { close(directory) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "/proc/self/fd/\(directory)/ctl.sock".utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw SupervisionError.system(.unreachable, "make a socket") }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let line = JSONWriter().bytes(of: command) + [UInt8(ascii: "\n")]
        // A command is far smaller than the buffer of a fresh socket. MSG_NOSIGNAL: a shim that ends right now must not end the daemon.
        guard connected == 0, line.withUnsafeBytes({ send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == line.count
        else {
            let errorNumber = errno
            close(descriptor)
            throw SupervisionError.system(.unreachable, "reach the supervisor", errorNumber: errorNumber)
        }
        return descriptor
    }

    private func receive() async throws -> JSONValue {
        try await withCheckedThrowingContinuation { continuation in
            self.continuation = continuation
            timer = LoopTimer(after: Self.patience) {
                self.finish(.failure(SupervisionError(.unreachable, errorNumber: ETIMEDOUT, message: "the supervisor does not answer")))
            }
            do {
                watcher = try DescriptorWatcher(descriptor: descriptor, events: .readable) { _ in self.read() }
            } catch {
                finish(.failure(error))
            }
        }
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0, answer.count + count <= Self.answerBytesMax else {
            let error = SupervisionError(.unreachable, errorNumber: ECONNRESET, message: "the supervisor ended before it answered")
            return finish(.failure(error))
        }
        answer.append(contentsOf: chunk[..<count])
        guard let end = answer.firstIndex(of: UInt8(ascii: "\n")) else { return }
        do {
            finish(.success(try JSONParser.parse(answer[..<end])))
        } catch {
            finish(.failure(SupervisionError(.unreachable, message: "the supervisor's answer is not JSON: \(error)")))
        }
    }

    private func finish(_ result: Result<JSONValue, any Error>) {
        guard let continuation else { return }
        self.continuation = nil
        watcher?.cancel()
        timer?.cancel()
        close(descriptor)
        continuation.resume(with: result)
    }
}
