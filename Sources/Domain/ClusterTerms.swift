/// A named place, this machine or a cluster, where attempts run, as the operator describes it.
public struct ClusterTerms: Sendable, Hashable {
    /// What a spec calls this machine.
    public static let local = "local"

    public var name: String
    public var partition: String?
    public var account: String?
    public var qos: String?
    public var constraint: String?
    /// How long an allocation lasts, whatever the job's own limit; `nil` leaves it to the partition.
    public var timeLimit: Duration?
    /// How many allocations of a job wait in the cluster's queue behind the one that runs: 0 or 1.
    public var ahead = 0
    /// GPUs of each node; `nil` where it is not known and requests are not checked against it.
    public var gpusPerNode: Int?
    /// The folder that the nodes share with the daemon; `nil` where it is the data folder.
    public var dataDirectory: String?
    /// Lines of shell that a node runs before the worker.
    public var setup: [String] = []
    public var environment: [String: String] = [:]
    /// Further arguments of sbatch.
    public var arguments: [String] = []
    /// From the moment at which a worker is asked to save until its allocation ends.
    public var margin: Duration = .seconds(120)
    /// How long the shared disk may take to show what a node has written.
    public var lag: Duration = .seconds(30)
    /// Between two questions to Slurm while something changes.
    public var pollLeast: Duration = .seconds(1)
    /// The same while nothing changes.
    public var pollMost: Duration = .seconds(15)
    /// The folder of Slurm's programs; `nil` looks them up in the daemon's PATH.
    public var programs: String?
    /// The file that tells Slurm's programs which cluster they serve; `nil` for their own choice.
    public var configurationPath: String?
    /// slurmrestd, where it takes the place of Slurm's programs.
    public var rest: RESTAccess?
    /// The address at which nodes reach the daemon; `nil` for the one that local workers use.
    public var url: String?
    /// Where the nodes have Anneal's programs, Python and the trainer; `nil` where they are where the daemon has them.
    public var shim: String?
    public var worker: String?
    public var python: String?
    public var trainer: String?

    /// How slurmrestd is reached.
    public struct RESTAccess: Sendable, Hashable {
        /// `http://HOST:PORT`; of a socket the host only fills the Host field.
        public var url: String
        /// A Unix socket in place of a port.
        public var socket: String?
        /// Whose jobs they are; `nil` for the daemon's own user.
        public var user: String?
        /// The secret that holds the user's token.
        public var token: String

        /// The secret's name where none is given.
        public static let tokenDefault = "SLURM_JWT"

        /// Makes one from its parts.
        public init(url: String, socket: String? = nil, user: String? = nil, token: String = tokenDefault) {
            (self.url, self.socket, self.user, self.token) = (url, socket, user, token)
        }
    }

    /// Terms of a cluster of which only the name is told.
    public init(name: String) { self.name = name }

    /// Whether they are those of this machine, of which only `environment` is told.
    public var isLocal: Bool { name == Self.local }

    /// Why a request can never be met there; empty where nothing is known against it.
    public func shortfalls(of request: ResourceRequest) -> [String] {
        guard let gpusPerNode, request.gpus > gpusPerNode else { return [] }
        return ["asks for \(request.gpus) GPUs on a node; nodes of the cluster '\(name)' have \(gpusPerNode)"]
    }
}
