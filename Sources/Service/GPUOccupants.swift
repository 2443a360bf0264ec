import Devices
import Domain
import Glibc

/// Who computes on a GPU: attempts of this daemon, or others.
struct GPUOccupants: Sendable {
    /// Processes whose environment names an attempt folder of this daemon, by attempt.
    var attempts: [String: [Int32]] = [:]
    /// Processes of others.
    var strangers: [Int32] = []

    var isEmpty: Bool { attempts.isEmpty && strangers.isEmpty }

    /// Reads /proc for each process that the driver names; blocks shortly.
    init(of device: GPUDevice, attemptsDirectory: String) {
        for process in device.processes ?? [] {
            if let attempt = Self.attempt(of: process.pid, below: attemptsDirectory) {
                attempts[attempt, default: []].append(process.pid)
            } else if kill(process.pid, 0) == 0 || errno != ESRCH {
                // A process that has ended since the driver was asked occupies nothing.
                strangers.append(process.pid)
            }
        }
    }

    /// The attempt whose folder the process was started with, which its descendants inherit.
    private static func attempt(of pid: Int32, below parent: String) -> String? {
        guard let file = fopen("/proc/\(pid)/environ", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: environmentBytesMax)
        let count = fread(&bytes, 1, bytes.count, file)
        let prefix = Array("ANNEAL_ATTEMPT_DIR=\(parent)/".utf8)
        guard let entry = bytes[..<count].split(separator: 0).first(where: { $0.starts(with: prefix) }) else { return nil }
        return String(decoding: entry.dropFirst(prefix.count), as: UTF8.self)
    }

    private static let environmentBytesMax = 256 * 1024

    /// In words, for people.
    var strangersText: String {
        "in use by \(strangers.count == 1 ? "process" : "processes") \(strangers.map(String.init).joined(separator: ", ")), not started here"
    }
}
