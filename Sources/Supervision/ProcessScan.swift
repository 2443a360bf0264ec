import CPosix
import Glibc

/// A process that was seen, named so that a later one with its number is not taken for it.
struct SeenProcess: Sendable, Equatable {
    var pid: Int32
    var startTicks: UInt64

    /// Sends the signal, to this process or to none.
    func send(_ signal: Int32) {
        guard let descriptor = ShimIdentity.open(pid: pid, startTicks: startTicks) else { return }
        defer { close(descriptor) }
        _ = cposix_pidfd_send_signal(descriptor, signal)
    }
}

/// Looks for what is left of a worker whose shim has died.
///
/// Its orphans belong to init then, so they are known by other marks: they are the worker itself, or of its session, or in its
/// control group, or carry the attempt's folder in their environment. Blocks.
enum ProcessScan {
    /// The variable that every worker has and its descendants inherit.
    static let marker = "ANNEAL_ATTEMPT_DIR"
    private static let environmentBytesMax = 1 << 20

    /// The live processes of the worker; the worker's first process, where it lives, comes first.
    ///
    /// Without shim.json (`identity` is `nil`) only the environment tells them.
    static func remains(of identity: ShimIdentity?, folder: AttemptFolder) -> [SeenProcess] {
        var list: UnsafeMutablePointer<cposix_process>?
        let count = cposix_read_processes(&list)
        guard count > 0, let list else { return [] }
        defer { free(list) }
        let members = controlGroupMembers(identity?.controlGroup)
        let firstPossible = identity?.workerStartTicks ?? 0
        var remains: [SeenProcess] = []
        for process in UnsafeBufferPointer(start: list, count: count) {
            // The dead no longer hold anything.
            guard process.state != CChar(UInt8(ascii: "Z")), process.start_ticks >= firstPossible else { continue }
            let seen = SeenProcess(pid: process.pid, startTicks: process.start_ticks)
            if let identity, process.pid == identity.workerPID, process.start_ticks == identity.workerStartTicks {
                remains.insert(seen, at: 0)
            } else if members.contains(process.pid) || isOfSession(identity, process) || hasMark(folder, pid: process.pid) {
                remains.append(seen)
            }
        }
        return remains
    }

    /// A session keeps its number while it has members. A leader with another start time shows that the number has a new owner.
    private static func isOfSession(_ identity: ShimIdentity?, _ process: cposix_process) -> Bool {
        guard let identity, process.session == identity.workerPID, process.pid != identity.workerPID else { return false }
        var leader = cposix_process()
        return cposix_read_process(identity.workerPID, &leader) != 0 || leader.start_ticks == identity.workerStartTicks
    }

    private static func controlGroupMembers(_ path: String?) -> Set<Int32> {
        guard let path, let bytes = contents(of: path + "/cgroup.procs") else { return [] }
        return Set(String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) })
    }

    /// The folder's last part is the attempt's id, which is unique; what stands before it depends on how the daemon was started.
    private static func hasMark(_ folder: AttemptFolder, pid: Int32) -> Bool {
        guard let environment = contents(of: "/proc/\(pid)/environ") else { return false }
        let name = Array("\(marker)=".utf8)
        let ending = Array("/\(folder.name)".utf8)
        return environment.split(separator: 0).contains { $0.starts(with: name) && $0.suffix(ending.count).elementsEqual(ending) }
    }

    /// The whole of a file of /proc or of the cgroup file system; `nil` where it is gone or not ours to read.
    private static func contents(of path: String) -> [UInt8]? {
        let file = cposix_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < environmentBytesMax {
            let count = read(file, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }
}
