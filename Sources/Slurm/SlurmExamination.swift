import Domain
import EventLoop
import Glibc

/// What a look at a cluster finds. A person reads it.
public struct SlurmFindings: Sendable, Hashable {
    /// Programs that are needed and not there.
    public var missingPrograms: [String] = []
    /// The partitions with their states; empty where the configured one does not exist.
    public var partitions: [Partition] = []
    /// What a node says of itself; `nil` where none was asked.
    public var node: Node?
    /// Why Slurm or the node could not be asked.
    public var failure: String?

    /// A partition, and how many of its nodes are in one state.
    public struct Partition: Sendable, Hashable {
        public var name: String
        /// `up`, `down`, `drain` or `inact`.
        public var availability: String
        public var nodes: Int
        /// Of the nodes, such as `idle`.
        public var state: String
    }

    /// What a short job on a node found.
    public struct Node: Sendable, Hashable {
        public var name: String
        /// Whether a file that was just written to the data folder is there.
        public var seesFile: Bool
        public var hasShim: Bool
        /// By how much its clock is ahead of this machine's, at the least; negative where it is behind.
        public var secondsAhead: Double
    }
}

extension SlurmCommands {
    private static let programs = ["sbatch", "squeue", "sinfo", "scancel", "scontrol"]
    /// An allocation of a minute on a node that may first have to become free.
    private static let nodePatience: Duration = .seconds(40)

    /// Looks for the programs and the partition.
    func examine() -> SlurmFindings {
        var found = SlurmFindings()
        if let rest {
            do { try rest.ping() } catch { found.failure = error.message }
            return found
        }
        found.missingPrograms = Self.programs.filter { name in
            // That a program is not there is what is asked.
            guard let path = try? path(of: name) else { return true }
            return access(path, X_OK) != 0
        }
        guard found.missingPrograms.isEmpty else { return found }
        do {
            found.partitions = try partitionList()
        } catch {
            found.failure = error.message
        }
        return found
    }

    private func partitionList() throws(SlurmError) -> [SlurmFindings.Partition] {
        let answer = try run("sinfo", ["--noheader", "--format=%R|%a|%D|%T"], Self.queryPatience)
        return answer.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "|").map(String.init)
            guard fields.count == 4, let nodes = Int(fields[2]) else { return nil }
            return .init(name: fields[0], availability: fields[1], nodes: nodes, state: fields[3])
        }
    }

    /// Runs a few commands on a node: does it see `file` and the shim, and what time is it there?
    func probe(file: String, shim: String) throws(SlurmError) -> SlurmFindings.Node {
        let own = ["--job-name=anneal-doctor", "--ntasks=1", "--time=1", "--immediate=30", "--quiet", "--chdir=/"]
        let script = #"hostname; date +%s.%N; test -e "$1" && echo yes || echo no; test -x "$2" && echo yes || echo no"#
        let before = Self.seconds()
        let answer = try run("srun", own + terms.placement + ["sh", "-c", script, "sh", file, shim], Self.nodePatience)
        let lines = answer.split(separator: "\n").map(String.init)
        guard lines.count == 4, let time = Double(lines[1]) else {
            throw SlurmError(.unknown, "a node answered '\(answer.prefix(200))'")
        }
        // It was asked between `before` and now; within that nothing can be said.
        let ahead = time < before ? time - before : max(0, time - Self.seconds())
        return .init(name: lines[0], seesFile: lines[2] == "yes", hasShim: lines[3] == "yes", secondsAhead: ahead)
    }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

extension SlurmExecutor {
    /// What can be known of the cluster without and, where `file` is given, with a short job on one of its nodes.
    ///
    /// - Parameters:
    ///   - file: one that was just written to the folder that the nodes share.
    ///   - shim: the program anneal-shim, as the nodes see it.
    public func examine(file: String?, shim: String) async -> SlurmFindings {
        let commands = commands
        do {
            return try await questions.run {
                var found = commands.examine()
                // srun is one of the programs that slurmrestd spares.
                guard commands.rest == nil, found.failure == nil, found.missingPrograms.isEmpty, let file else { return found }
                do throws(SlurmError) {
                    found.node = try commands.probe(file: file, shim: shim)
                } catch {
                    found.failure = "no node could be asked: \(error.message)"
                }
                return found
            }
        } catch {
            return SlurmFindings(failure: "\(error)")
        }
    }
}
