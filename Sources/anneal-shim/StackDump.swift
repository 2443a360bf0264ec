import CPosix
import Glibc

/// What the processes of a tree are at, as far as /proc tells: for people who ask why a worker stopped making progress.
enum StackDump {
    private static let fileBytesMax = 64 * 1024
    private static let threadsMax = 256

    /// Writes a file anew. False with `errno` where it cannot.
    static func write(of processes: [cposix_process], to name: String) -> Bool {
        var text = ""
        for process in processes { describe(process.pid, in: &text) }
        if processes.isEmpty { text = "no process is left\n" }
        let file = cposix_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        defer { close(file) }
        return writeAll(Array(text.utf8), to: file)
    }

    private static func describe(_ pid: pid_t, in text: inout String) {
        let folder = "/proc/\(pid)"
        let words = (read(folder + "/cmdline") ?? "").split(separator: "\0").joined(separator: " ")
        text += "process \(pid): \(words.isEmpty ? read(folder + "/comm") ?? "?" : words)\n"
        for field in ["State", "PPid", "Threads", "VmRSS", "SigBlk", "SigCgt"] {
            if let line = read(folder + "/status")?.split(separator: "\n").first(where: { $0.hasPrefix(field + ":") }) {
                text += "  \(line)\n"
            }
        }
        guard let threads = opendir(folder + "/task") else { return }
        defer { closedir(threads) }
        var count = 0
        while let entry = readdir(threads), count < threadsMax {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.utf8.first != UInt8(ascii: ".") else { continue }
            count += 1
            thread(folder + "/task/" + name, name, in: &text)
        }
    }

    /// A thread with what it waits for in the kernel; its stack there is for root alone to read.
    private static func thread(_ folder: String, _ id: String, in text: inout String) {
        let name = trimmed(read(folder + "/comm"))
        let state =
            read(folder + "/stat").flatMap { line in line.lastIndex(of: ")").map { line[line.index(after: $0)...].prefix(3) } } ?? "?"
        text +=
            "  thread \(id) (\(name)):\(state) waits in \(trimmed(read(folder + "/wchan"))), system call \(trimmed(read(folder + "/syscall")))\n"
        for line in (read(folder + "/stack") ?? "").split(separator: "\n") { text += "    \(line)\n" }
    }

    private static func read(_ path: String) -> String? { readText(path, at: AT_FDCWD, limit: fileBytesMax) }

    private static func trimmed(_ text: String?) -> Substring {
        let line = text?.split(separator: "\n").first ?? "?"
        return line.isEmpty ? "?" : line
    }
}
