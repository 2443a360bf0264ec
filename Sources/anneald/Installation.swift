import Glibc
import Service

/// Finds the programs that belong to the daemon: beside it where it is installed, in the source tree where it was built.
struct Installation {
    /// The folder of this executable.
    private let folder: String

    init() throws(SettingsError) {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { throw SettingsError(message: "the path of this program cannot be found") }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
    }

    func configuration(_ settings: Settings, workerURL: String) -> ServiceConfiguration {
        var configuration = ServiceConfiguration(
            dataDirectory: settings.dataDirectory, shimPath: settings.shim ?? folder + "/anneal-shim",
            workerPath: settings.worker ?? folder + "/anneal-worker", pythonPath: settings.python ?? ascending(to: ".venv/bin/python"),
            trainerDirectory: settings.trainer ?? trainer(), workerURL: workerURL, version: Version.text)
        let shared = folder + "/../share/anneal/dashboard"
        configuration.dashboardDirectory = access(shared + "/index.html", R_OK) == 0 ? shared : ascending(to: "Sources/dashboard")
        configuration.sampleInterval = settings.sampleInterval
        configuration.metricRetention = settings.metricRetention
        configuration.clusters = settings.clusters
        configuration.callLimits = settings.callLimits
        if let retention = settings.auditRetention { configuration.auditRetention = retention }
        configuration.readablePaths = settings.readablePaths
        configuration.tokenFiles = settings.tokenFiles
        configuration.secrets = settings.secrets
        configuration.containers = settings.containers
        configuration.clusterContainers = settings.clusterContainers
        configuration.artifactRetention = settings.artifactRetention
        configuration.allowsPrivateWebhooks = settings.allowsPrivateWebhooks
        return configuration
    }

    private func trainer() -> String? {
        let shared = folder + "/../share/anneal/trainer"
        return access(shared + "/anneal_trainer", R_OK) == 0
            ? shared : ascending(to: "Sources/trainer/anneal_trainer").map { String($0.dropLast(15)) }
    }

    /// The path `name` below the nearest folder above this program that has it.
    private func ascending(to name: String) -> String? {
        var folder = folder[...]
        while let slash = folder.lastIndex(of: "/") {
            let candidate = folder + "/" + name
            if access(String(candidate), R_OK) == 0 { return String(candidate) }
            folder = folder[..<slash]
        }
        return nil
    }
}
