import Domain
import Store

/// The daemon's own figures in Prometheus' text format 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    /// Adds one metric family.
    mutating func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
            text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
        }
    }

    /// Label values escape the back-slash, the double quote and the line feed.
    private static func escaped(_ value: String) -> String {
        value.map { character in
            switch character {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(character)
            }
        }.joined()
    }
}

extension AnnealService {
    /// What `/metrics` serves.
    public func prometheusMetrics() async throws -> String {
        let (statistics, counts) = try await store.read { (try $0.statistics(), try $0.jobCounts()) }
        var page = PrometheusText()
        page.family("anneal_build_info", "gauge", "The version that runs.", [([("version", configuration.version)], 1)])
        page.family("anneal_start_time_seconds", "gauge", "When the daemon started.", [([], Double(startedAt.milliseconds) / 1000)])
        page.family("anneal_jobs", "gauge", "Jobs by state.", JobState.allCases.map { ([("state", $0.rawValue)], Double(counts[$0] ?? 0)) })
        page.family("anneal_attempts_live", "gauge", "Attempts whose worker may be alive.", [([], Double(statistics.liveAttempts))])
        page.family("anneal_database_bytes", "gauge", "Size of the database.", [([], Double(statistics.databaseBytes))])
        page.family("anneal_events_total", "counter", "Events ever recorded.", [([], Double(statistics.lastEventSeq))])
        page.family(
            "anneal_gpus", "gauge", "GPUs by whether a job holds them.",
            [
                ([("state", "held")], Double(gpuHolders.count)),
                ([("state", "free")], Double(capacity.gpus.count - gpuHolders.count)),
            ])
        page.family(
            "anneal_cpus", "gauge", "CPU cores by whether a job holds them.",
            [
                ([("state", "held")], Double(heldCPUs)), ([("state", "free")], Double(capacity.cpus - heldCPUs)),
            ])
        return page.text
    }
}
