import APITypes
import Glibc
import JSON

/// Supervisors that run for attempts which the database knows as ended. Blocks.
enum ShimExamination {
    private static let recordBytesMax = 64 * 1024
    private static let namedMax = 10

    /// - Parameter live: identifiers of attempts that have not ended.
    static func check(below parent: String, live: Set<String>) throws -> DoctorCheck {
        var stale: [(pid: Int32, attempt: String)] = []
        for attempt in try Folders.names(in: parent) where !live.contains(attempt) {
            // A shim that wrote how its worker ended is done, or will be in a moment.
            guard access("\(parent)/\(attempt)/exit.json", F_OK) != 0, let pid = try supervisor(of: "\(parent)/\(attempt)") else {
                continue
            }
            stale.append((pid, attempt))
        }
        guard !stale.isEmpty else { return DoctorCheck(name: "shims", ok: true, detail: "none runs for an attempt that has ended") }
        let named = stale.prefix(namedMax).map { "\($0.pid) (\($0.attempt))" }.joined(separator: ", ")
        let pids = stale.prefix(namedMax).map { String($0.pid) }.joined(separator: " ")
        return .warning(
            "shims", "\(stale.count) supervisors run for attempts that have ended: \(named)",
            advice: "look at their logs in \(parent), then end them: kill \(pids)")
    }

    /// The process that an attempt's folder names as its supervisor, where it lives and is one.
    private static func supervisor(of folder: String) throws -> Int32? {
        guard let bytes = try Folders.tail(of: folder + "/shim.json", limit: recordBytesMax) else { return nil }
        // A record that cannot be read names nobody.
        guard let record = try? JSONParser.parse(bytes), let pid = record["shim_pid"]?.int.flatMap(Int32.init(exactly:)) else { return nil }
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/\(pid)/exe", &path, path.count - 1)
        guard count > 0 else { return nil }
        let program = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return program.split(separator: "/").last?.hasPrefix("anneal-shim") == true ? pid : nil
    }
}
