import CPosix
import Glibc

/// The daemon's part of the control groups (v2): a leaf for itself, and room beside it for those of attempts, with limits of memory.
///
/// A group that has controllers on for its children may hold no process itself (Documentation/admin-guide/cgroup-v2.rst of Linux, "No
/// internal process constraint"), so the daemon moves into a leaf of its own. This needs a group that was delegated to it, as systemd's
/// `Delegate=yes` does, or root.
public struct ControlGroupTree: Sendable {
    /// Where the groups of attempts are made.
    public let placement: ControlGroupPlacement
    /// True where an attempt can be held to a limit of memory.
    public let limitsMemory: Bool
    /// In a sentence for people.
    public let status: String

    private static let controllers = ["memory", "pids"]

    /// Arranges the daemon's own group, where it may. Blocks shortly; nothing is changed where it may not.
    public static func prepare() -> ControlGroupTree {
        guard let own = ownGroup() else {
            return ControlGroupTree(.belowOwn, false, "no control groups (v2): limits of memory are not enforced")
        }
        guard let offered = text(of: own + "/cgroup.controllers"), offered.split(separator: " ").contains("memory") else {
            return ControlGroupTree(.belowOwn, false, "\(own) has no memory controller: limits of memory are not enforced")
        }
        let parent = own.hasSuffix("/anneal-daemon") ? String(own.dropLast("/anneal-daemon".count)) : own
        let leaf = parent + "/anneal-daemon"
        if leaf != own {
            guard mkdir(leaf, 0o755) == 0 || errno == EEXIST, write("\(getpid())", to: leaf + "/cgroup.procs") else {
                return ControlGroupTree(
                    .belowOwn, false, "\(own) may not be changed: limits of memory are not enforced; see Delegate= in systemd")
            }
        }
        let isOn = write(controllers.map { "+" + $0 }.joined(separator: " "), to: parent + "/cgroup.subtree_control")
        guard isOn else {
            return ControlGroupTree(.below(parent), false, "\(parent) holds other processes: limits of memory are not enforced")
        }
        return ControlGroupTree(.below(parent), true, "attempts have groups of their own below \(parent), with limits of memory")
    }

    private init(_ placement: ControlGroupPlacement, _ limitsMemory: Bool, _ status: String) {
        (self.placement, self.limitsMemory, self.status) = (placement, limitsMemory, status)
    }

    /// The folder of this process in the unified hierarchy; cgroups(7) has it on the line `0::<path>`.
    private static func ownGroup() -> String? {
        guard let line = text(of: "/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else { return nil }
        let below = line.dropFirst(3)
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] where access(mount + "/cgroup.controllers", F_OK) == 0 {
            return mount + (below == "/" ? "" : below)
        }
        return nil
    }

    private static func text(of path: String) -> String? {
        let file = cposix_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = read(file, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self).trimmingNewline
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let file = cposix_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        return Glibc.write(file, text, text.utf8.count) == text.utf8.count
    }
}

extension String {
    fileprivate var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
