import CPosix
import Glibc
import JSON

/// `ctl.sock`: a line of JSON in, a line of JSON out, as often as the client likes.
final class ControlSocket {
    private static let name = "ctl.sock"
    /// Clients beyond these wait in the backlog until one leaves.
    private static let clientsMax = 8
    private static let backlog: Int32 = 16
    private static let lineBytesMax = 65_536

    private let listener: Int32
    private var lines: [Int32: [UInt8]] = [:]
    private let answer: (JSONValue) -> JSONValue

    /// Binds a relative name, so the path of the folder may be longer than `sun_path` is.
    init(answer: @escaping (JSONValue) -> JSONValue) throws(StartError) {
        self.answer = answer
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard listener >= 0 else { throw StartError(step: "control", doing: "make a socket", errorNumber: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Self.name.utf8) }
        let mask = umask(0o177)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        umask(mask)
        guard bound == 0, listen(listener, Self.backlog) == 0 else {
            throw StartError(step: "control", doing: "listen on \(Self.name)", errorNumber: errno)
        }
    }

    /// What the shim's poll waits for.
    var pollEntries: [pollfd] {
        var entries = lines.keys.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        if lines.count < Self.clientsMax { entries.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
        return entries
    }

    func handle(_ entry: pollfd) {
        guard entry.revents != 0 else { return }
        if entry.fd == listener { acceptClient() } else if lines[entry.fd] != nil { readClient(entry.fd) }
    }

    func remove() { unlink(Self.name) }

    private func acceptClient() {
        let client = cposix_accept(listener)
        if client >= 0 { lines[client] = [] }
    }

    private func readClient(_ client: Int32) {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        let count = read(client, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return drop(client) }
        lines[client]?.append(contentsOf: chunk[..<count])
        while let line = lines[client], let end = line.firstIndex(of: UInt8(ascii: "\n")) {
            lines[client] = Array(line[(end + 1)...])
            guard respond(to: line[..<end], client: client) else { return drop(client) }
        }
        if let line = lines[client], line.count > Self.lineBytesMax { drop(client) }
    }

    private func respond(to line: ArraySlice<UInt8>, client: Int32) -> Bool {
        let reply: JSONValue
        do {
            reply = answer(try JSONParser.parse(line))
        } catch {
            reply = Self.refusal("the command is not JSON: \(error)")
        }
        // Answers are far smaller than the socket's buffer: one that does not fit belongs to a client that does not read.
        return writeAll(JSONWriter().bytes(of: reply) + [UInt8(ascii: "\n")], to: client)
    }

    private func drop(_ client: Int32) {
        close(client)
        lines[client] = nil
    }

    static func refusal(_ message: String) -> JSONValue { ["version": 1, "ok": false, "error": .string(message)] }
}
