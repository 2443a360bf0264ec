import APITypes
import Domain
import Glibc
import Slurm

/// What is well with a cluster, and what to do where it is not.
enum ClusterExamination {
    /// Apart from clocks that nobody keeps in step.
    private static let clockSecondsMax = 2.0

    /// File systems that other machines have at the same path only where somebody mounted them so.
    private static let localFileSystems: Set<String> = ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs"]

    static func checks(_ terms: ClusterTerms, _ found: SlurmFindings, dataDirectory: String) -> [DoctorCheck] {
        let name = "cluster \(terms.name)"
        guard found.missingPrograms.isEmpty else {
            let place = terms.programs ?? "the daemon's PATH"
            return [
                DoctorCheck(
                    name: name, ok: false, detail: "\(found.missingPrograms.joined(separator: ", ")) cannot be found in \(place)",
                    advice: "install Slurm's client programs (Debian: slurm-client), or name their folder as 'programs' of the cluster")
            ]
        }
        let first = terms.rest == nil ? partition(terms, found, name) : answer(found, name)
        // What a node says is worth more than what the kind of a file system lets guess.
        return [first] + (found.node.map { node($0, dataDirectory, name) } ?? [disk(dataDirectory, name)])
    }

    /// Whether slurmrestd answers, which stands in for Slurm's programs.
    private static func answer(_ found: SlurmFindings, _ name: String) -> DoctorCheck {
        guard let failure = found.failure else { return DoctorCheck(name: name, ok: true, detail: "slurmrestd answers") }
        return DoctorCheck(
            name: name, ok: false, detail: failure,
            advice: "see whether slurmrestd runs, and whether 'rest' of the cluster names it and its token")
    }

    private static func partition(_ terms: ClusterTerms, _ found: SlurmFindings, _ name: String) -> DoctorCheck {
        let all = found.partitions.map { "\($0.name): \($0.nodes) nodes \($0.state)" }.joined(separator: "; ")
        if let failure = found.failure, found.partitions.isEmpty {
            return DoctorCheck(
                name: name, ok: false, detail: failure,
                advice: "run 'sinfo' as the daemon's user; 'slurm_conf' and 'programs' of the cluster say where Slurm is")
        }
        let ours = found.partitions.filter { terms.partition == nil || $0.name == terms.partition }
        guard !ours.isEmpty else {
            let detail = terms.partition.map { "there is no partition '\($0)'; there are: \(all.isEmpty ? "none" : all)" }
            return DoctorCheck(
                name: name, ok: false, detail: detail ?? "Slurm tells of no partition",
                advice: "set 'partition' of the cluster to one that this user may use")
        }
        let detail = ours.map { "\($0.name): \($0.nodes) nodes \($0.state)" }.joined(separator: "; ")
        guard ours.contains(where: { $0.availability == "up" }) else {
            return .warning(
                name, "\(detail); the partition is \(ours[0].availability)",
                advice: "jobs wait until it is up: 'scontrol show partition \(ours[0].name)', or ask the cluster's administrators")
        }
        let working = ["idle", "mixed", "allocated", "completing", "reserved", "planned"]
        guard ours.contains(where: { partition in working.contains { partition.state.hasPrefix($0) } }) else {
            return .warning(name, "\(detail); no node takes jobs", advice: "see 'sinfo -R' for the reasons")
        }
        if let failure = found.failure {
            return DoctorCheck(
                name: name, ok: false, detail: failure, advice: "run 'srun --partition=\(ours[0].name) hostname' as the daemon's user")
        }
        return DoctorCheck(name: name, ok: true, detail: detail)
    }

    private static func disk(_ folder: String, _ name: String) -> DoctorCheck {
        guard let local = fileSystem(of: folder), localFileSystems.contains(local) else {
            return DoctorCheck(name: name + " disk", ok: true, detail: "\(folder) is on no file system that only this machine has")
        }
        return .warning(
            name + " disk", "\(folder) is on \(local) of this machine",
            advice: "the nodes must have it at the same path: export it by NFS, or move the data folder to a shared disk; "
                + "'anneal doctor --deep' asks a node")
    }

    /// The kind of the file system that holds a path (proc_pid_mountinfo(5)); `nil` where the kernel does not tell.
    private static func fileSystem(of path: String) -> String? {
        guard let file = fopen("/proc/self/mountinfo", "re") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        var best: (point: String, kind: String)?
        while getline(&line, &room, file) > 0, let line {
            let fields = String(cString: line).split(separator: " ").map(String.init)
            guard fields.count > 5, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
            let point = fields[4] == "/" ? "/" : fields[4] + "/"
            // Of two on one point the later one covers the other.
            if (path + "/").hasPrefix(point), point.utf8.count >= best?.point.utf8.count ?? 0 { best = (point, fields[dash + 1]) }
        }
        return best?.kind
    }

    private static func node(_ node: SlurmFindings.Node, _ folder: String, _ name: String) -> [DoctorCheck] {
        var checks: [DoctorCheck] = []
        if !node.seesFile {
            checks.append(
                DoctorCheck(
                    name: name + " node", ok: false, detail: "\(node.name) does not see what was just written to \(folder)",
                    advice: "mount the data folder there at the same path, and let the daemon's user read and write it"))
        } else if !node.hasShim {
            checks.append(
                DoctorCheck(
                    name: name + " node", ok: false, detail: "\(node.name) sees \(folder), but cannot run anneal-shim",
                    advice: "install Anneal's programs on a disk that the nodes share, and set 'shim' of the cluster"))
        } else {
            checks.append(DoctorCheck(name: name + " node", ok: true, detail: "\(node.name) sees \(folder) and anneal-shim"))
        }
        let off = Int(abs(node.secondsAhead).rounded())
        if abs(node.secondsAhead) > clockSecondsMax {
            checks.append(
                .warning(
                    name + " clock", "the clock of \(node.name) is \(off) s \(node.secondsAhead > 0 ? "ahead" : "behind")",
                    advice: "run an NTP service there and here: curves and logs carry the node's time"))
        }
        return checks
    }
}
