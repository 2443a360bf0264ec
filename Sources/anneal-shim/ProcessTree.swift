import CPosix
import Glibc

/// Every process that descends from the shim.
///
/// The shim is a child subreaper: an orphan of the tree becomes its child, wherever its session or group. So each descendant is
/// reached by parents from the shim, and no child left means no descendant left.
enum ProcessTree {
    /// The live descendants at this moment; more may be born while /proc is read, so callers repeat.
    static func descendants() -> [cposix_process] {
        let all = everyProcess()
        var children: [pid_t: [Int]] = [:]
        for (index, process) in all.enumerated() { children[process.parent, default: []].append(index) }
        var found: [cposix_process] = []
        var waiting = children[getpid()] ?? []
        while let index = waiting.popLast() {
            let process = all[index]
            if process.state != zombie { found.append(process) }
            waiting.append(contentsOf: children[process.pid] ?? [])
        }
        return found
    }

    /// Reaps every child that has ended: the worker, and orphans of its tree, which the kernel gives to this process. Returns whether no
    /// child is left, and so nothing of the tree.
    static func reap(_ onEnd: (_ pid: pid_t, _ status: Int32) -> Void) -> Bool {
        while true {
            var status: Int32 = 0
            // Any child: the processes of the tree are not known beforehand.
            let pid = waitpid(-1, &status, WNOHANG)
            if pid < 0, errno == EINTR { continue }
            guard pid > 0 else { return pid < 0 }
            onEnd(pid, status)
        }
    }

    /// User and system time of the live tree, children that it has waited for included (proc_pid_stat(5), fields 14 to 17).
    static func cpuMilliseconds() -> Int64 { usage().cpuMilliseconds }

    /// The same, and the memory of the live tree (field 24, in pages); pages that processes share count for each.
    static func usage() -> (cpuMilliseconds: Int64, residentBytes: Int64) {
        let ticksPerSecond = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        let pageBytes = Int64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        return descendants().reduce((0, 0)) { total, process in
            guard let text = readText("/proc/\(process.pid)/stat", at: AT_FDCWD, limit: 4096), let end = text.lastIndex(of: ")") else {
                return total
            }
            let fields = text[text.index(after: end)...].split(separator: " ")
            guard fields.count > 21 else { return total }
            let ticks = fields[11...14].reduce(Int64(0)) { $0 + (Int64($1) ?? 0) }
            return (total.0 + ticks * 1000 / ticksPerSecond, total.1 + (Int64(fields[21]) ?? 0) * pageBytes)
        }
    }

    private static let zombie = CChar(UInt8(ascii: "Z"))

    private static func everyProcess() -> [cposix_process] {
        var list: UnsafeMutablePointer<cposix_process>?
        let count = cposix_read_processes(&list)
        guard count > 0, let list else { return [] }
        defer { free(list) }
        return Array(UnsafeBufferPointer(start: list, count: count))
    }

    /// One round of SIGKILL over the tree; the caller repeats it until the shim has no child left.
    static func killAll() {
        for process in descendants() { send(SIGKILL, to: process) }
    }

    /// Signals the process that was seen, never another that has got its number since.
    private static func send(_ signal: Int32, to process: cposix_process) {
        let descriptor = cposix_pidfd_open(process.pid)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var now = cposix_process()
        guard cposix_read_process(process.pid, &now) == 0, now.start_ticks == process.start_ticks else { return }
        _ = cposix_pidfd_send_signal(descriptor, signal)
    }
}

/// SIGKILL over the whole tree, again and again until it is gone: processes may be born while others are being killed.
struct KillRounds {
    private static let intervalMin: Int64 = 10
    private static let intervalMax: Int64 = 500

    let since: Int64
    private(set) var next: Int64
    private var interval = Self.intervalMin

    /// - Parameter delay: how long the tree may take to go by itself first, in milliseconds.
    init(since: Int64, delay: Int64 = 0) {
        self.since = since
        next = since + delay
    }

    mutating func advance(_ now: Int64, controlGroup: ControlGroup?) {
        guard now >= next else { return }
        // The scan also finds what has left the control group.
        _ = controlGroup?.kill()
        ProcessTree.killAll()
        next = now + interval
        interval = min(interval * 2, Self.intervalMax)
    }
}
