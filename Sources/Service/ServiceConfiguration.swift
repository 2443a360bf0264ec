import Domain
import Specification

/// Where things are and what may be used; fixed while the daemon runs.
public struct ServiceConfiguration: Sendable {
    /// The data folder; absolute.
    public var dataDirectory: String
    public var shimPath: String
    public var workerPath: String
    /// The Python interpreter that has PyTorch, transformers and TRL; `nil` where none was found.
    public var pythonPath: String?
    /// The folder that holds the package `anneal_trainer`; `nil` where none was found.
    public var trainerDirectory: String?
    /// The address that workers reach the daemon at.
    public var workerURL: String
    public var version: String
    /// The folder of the dashboard's files; `nil` where none was found.
    public var dashboardDirectory: String?
    /// Between two readings of GPUs and host.
    public var sampleInterval: Duration = .seconds(2)
    /// How long metrics stay.
    public var metricRetention = MetricRetention.standard
    /// How much each caller may ask.
    public var callLimits = CallLimits()
    /// How long the audit log keeps its records.
    public var auditRetention: Duration = .seconds(400 * 86_400)
    /// The folders that specs may name files in; `nil` for whatever the daemon's user may read.
    public var readablePaths: [String]?
    /// Files besides the data folder that hold the daemon's token.
    public var tokenFiles: [String] = []
    /// How long files stay that nothing refers to.
    public var artifactRetention = ArtifactRetention.standard
    /// Whether webhooks may go to addresses of this machine and of private networks.
    public var allowsPrivateWebhooks = false
    /// Where jobs can run beside this machine.
    public var clusters: [ClusterTerms] = []
    /// Where the secrets that jobs name are found.
    public var secrets = SecretConfiguration()
    /// How containers are run, here and on the clusters that say so.
    public var containers = ContainerConfiguration()
    public var clusterContainers: [String: ContainerConfiguration] = [:]

    public init(
        dataDirectory: String, shimPath: String, workerPath: String, pythonPath: String?, trainerDirectory: String?, workerURL: String,
        version: String
    ) {
        self.dataDirectory = dataDirectory
        self.shimPath = shimPath
        self.workerPath = workerPath
        self.pythonPath = pythonPath
        self.trainerDirectory = trainerDirectory
        self.workerURL = workerURL
        self.version = version
    }

    public var databasePath: String { dataDirectory + "/anneal.db" }
    public var attemptsDirectory: String { dataDirectory + "/attempts" }
    public var datasetsDirectory: String { dataDirectory + "/datasets" }
    public var uploadsDirectory: String { dataDirectory + "/uploads" }

    func attemptDirectory(_ attemptID: String) -> String { attemptsDirectory + "/" + attemptID }
    func checkpointDirectory(jobID: String) -> String { dataDirectory + "/jobs/" + jobID + "/checkpoints" }
    func jobDirectory(_ jobID: String) -> String { dataDirectory + "/jobs/" + jobID }
    func outputDirectory(jobID: String) -> String { dataDirectory + "/jobs/" + jobID + "/outputs" }
}
