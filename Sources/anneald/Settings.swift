import Devices
import Diagnosis
import Domain
import Glibc
import HTTPAPI
import JSON
import Service
import Specification

/// Why the daemon's settings cannot be used.
struct SettingsError: Error {
    var message: String
}

/// Everything that is decided before the daemon starts: flags, then the configuration file, then defaults.
struct Settings {
    var dataDirectory: String
    /// Host and port; `nil` opens no TCP port.
    var address: (host: String, port: Int)?
    var socketPath: String
    var gpus: GPUMode
    var cpus: Int?
    var memoryBytes: Int64?
    /// Host names beside the loopback ones that requests may name.
    var hosts: [String]
    var token: String?
    var python: String?
    var trainer: String?
    var shim: String?
    var worker: String?
    /// Named counters that jobs may ask for, such as `licences: 4`.
    var counters: [String: Int]
    /// Between two readings of GPUs and host.
    var sampleInterval: Duration
    /// How long metrics stay.
    var metricRetention: MetricRetention
    /// How long files stay that nothing refers to.
    var artifactRetention: ArtifactRetention
    /// Whether webhooks may go to addresses of this machine and of private networks.
    var allowsPrivateWebhooks: Bool
    /// Where jobs can run beside this machine.
    var clusters: [ClusterTerms]
    /// Proxies before the daemon, whose word on where a request comes from is taken.
    var proxies: [IPNetwork]
    /// How much each caller may ask.
    var callLimits: CallLimits
    /// How long the audit log keeps its records.
    var auditRetention: Duration?
    /// The folders that specs may name files in; `nil` for whatever the daemon's user may read.
    var readablePaths: [String]?
    /// Files that hold the daemon's token.
    var tokenFiles: [String]
    /// Where the secrets that jobs name are found.
    var secrets: SecretConfiguration
    /// How containers are run, here and on the clusters that say so.
    var containers: ContainerConfiguration
    var clusterContainers: [String: ContainerConfiguration]
    /// A file of patterns that tell causes of failures, beside those that are built in.
    var causes: String?

    /// The patterns that tell causes of failures.
    func causePatterns() throws -> CausePatterns {
        guard let causes else { return .builtIn }
        guard let file = fopen(causes, "r") else { throw SettingsError(message: "\(causes): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return try CausePatterns.builtIn.extended(by: bytes, path: causes)
    }

    var listensBeyondLoopback: Bool {
        guard let host = address?.host else { return false }
        return !["127.0.0.1", "::1", "localhost"].contains(host)
    }

    static func load(_ flags: AnnealDaemon) throws(SettingsError) -> Settings {
        let file = try ConfigurationFile.read(flags.config ?? variable("ANNEAL_CONFIG"))
        let named = flags.data ?? file.text("data") ?? variable("ANNEAL_DATA")
        let data = if let named { try absolute(named) } else { try defaultDataDirectory() }
        let gpuText = flags.gpus ?? file.text("gpus") ?? "auto"
        guard let gpus = GPUMode(parsing: gpuText) else {
            throw SettingsError(message: "--gpus must be auto, none or sim:N, not '\(gpuText)'")
        }
        let configured = try file.integer("cpus")
        let cpus = flags.cpus ?? configured
        if let cpus, cpus < 1 { throw SettingsError(message: "--cpus must be at least 1") }
        return Settings(
            dataDirectory: data, address: try address(flags.listen ?? file.text("listen") ?? "127.0.0.1:7600"),
            socketPath: try absolute(flags.socket ?? file.text("socket") ?? data + "/anneal.sock"), gpus: gpus, cpus: cpus,
            memoryBytes: try memory(flags.memory ?? file.text("memory")), hosts: try hosts(file), token: try token(file),
            python: file.text("python") ?? variable("ANNEAL_PYTHON"), trainer: file.text("trainer") ?? variable("ANNEAL_TRAINER"),
            shim: file.text("shim"), worker: file.text("worker"), counters: try counters(flags.counter, file),
            sampleInterval: try sampleInterval(file), metricRetention: try metricRetention(file),
            artifactRetention: try artifactRetention(file),
            allowsPrivateWebhooks: try file.flag("webhooks_to_private_addresses") ?? false,
            clusters: try file.clusters(dataDirectory: data),
            proxies: try proxies(file), callLimits: try callLimits(file), auditRetention: try file.duration("audit_retention"),
            readablePaths: try readablePaths(file), tokenFiles: try tokenFiles(file), secrets: try secrets(file),
            containers: try ContainerSettings.read(file.document, path: file.path),
            clusterContainers: ContainerDocument.ofClusters(file.document), causes: file.text("causes"))
    }

    private static func proxies(_ file: ConfigurationFile) throws(SettingsError) -> [IPNetwork] {
        try file.list("proxies", of: "addresses or networks such as 10.0.0.0/8", IPNetwork.init)
    }

    private static func hosts(_ file: ConfigurationFile) throws(SettingsError) -> [String] {
        try file.list("hosts", of: "names or addresses such as anneal.example.org, without scheme and path") {
            RequestGuard.isHost($0) ? $0 : nil
        }
    }

    private static func callLimits(_ file: ConfigurationFile) throws(SettingsError) -> CallLimits {
        var limits = CallLimits()
        var failuresPerMinute = limits.failures.perSecond * 60
        let names = [
            "token_per_second", "token_burst", "address_per_second", "address_burst", "streams", "failures_per_minute", "failures_burst",
        ]
        for (name, number) in try file.numbers("rate_limits", names: names) {
            switch name {
            case "token_per_second": limits.token.perSecond = number
            case "token_burst": limits.token.burst = number
            case "address_per_second": limits.address.perSecond = number
            case "address_burst": limits.address.burst = number
            case "streams": limits.streams = Int(number)
            case "failures_burst": limits.failures.burst = number
            default: failuresPerMinute = number
            }
        }
        limits.failures.perSecond = failuresPerMinute / 60
        return limits
    }

    private static func readablePaths(_ file: ConfigurationFile) throws(SettingsError) -> [String]? {
        guard let paths = try file.paths("paths", names: ["readable"])["readable"] else { return nil }
        for path in paths where !path.hasPrefix("/") {
            throw SettingsError(message: "'paths.readable' must be a list of absolute paths, not '\(path)'")
        }
        return paths
    }

    /// `secrets: PATH`, or a mapping with `file` and `environment`, which lists what may be taken from the daemon's own environment.
    private static func secrets(_ file: ConfigurationFile) throws(SettingsError) -> SecretConfiguration {
        var configuration = SecretConfiguration(credentialsDirectory: variable("CREDENTIALS_DIRECTORY"))
        // A misspelt name would leave every job without its secrets.
        if file.members["secrets"]?.object != nil { _ = try file.entries("secrets", names: ["file", "environment"]) }
        if let path = try file.text("file", below: "secrets") { configuration.file = try absolute(path) }
        if let names = try file.texts("environment", below: "secrets") { configuration.environment = .names(Set(names)) }
        return configuration
    }

    private static func sampleInterval(_ file: ConfigurationFile) throws(SettingsError) -> Duration {
        guard let text = try file.duration("sample_interval") else { return .seconds(2) }
        guard (.seconds(1) ... .seconds(10)).contains(text) else {
            throw SettingsError(message: "'sample_interval' must be from 1s to 10s")
        }
        return text
    }

    private static func metricRetention(_ file: ConfigurationFile) throws(SettingsError) -> MetricRetention {
        var retention = MetricRetention.standard
        let parts: [(String, WritableKeyPath<MetricRetention, Duration?>)] = [
            ("points", \.curves.points), ("summaries", \.curves.summaries), ("device_points", \.devices.points),
            ("device_summaries", \.devices.summaries),
        ]
        let ages = try file.ages("metric_retention", names: parts.map(\.0))
        for (name, part) in parts { if let age = ages[name] { retention[keyPath: part] = age } }
        return retention
    }

    private static func artifactRetention(_ file: ConfigurationFile) throws(SettingsError) -> ArtifactRetention {
        var retention = ArtifactRetention.standard
        let parts: [(String, WritableKeyPath<ArtifactRetention, Duration?>)] = [
            ("attempt_logs", \.attemptLogs), ("checkpoints", \.checkpoints), ("leftovers", \.leftovers),
            ("upgrade_copies", \.upgradeCopies), ("answers", \.answers),
        ]
        let ages = try file.ages("retention", names: parts.map(\.0), flag: "automatic")
        for (name, part) in parts { if let age = ages[name] { retention[keyPath: part] = age } }
        retention.isAutomatic = try file.flag("automatic", in: "retention") ?? false
        return retention
    }

    private static func counters(_ flags: [String], _ file: ConfigurationFile) throws(SettingsError) -> [String: Int] {
        var counters = try file.counts("counters")
        for flag in flags {
            let parts = flag.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, NameRule.job.matches(parts[0]), let units = Int(parts[1]), units >= 0 else {
                throw SettingsError(message: "--counter must be NAME=NUMBER, not '\(flag)'")
            }
            counters[parts[0]] = units
        }
        return counters
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }

    private static func defaultDataDirectory() throws(SettingsError) -> String {
        guard let home = variable("HOME") else {
            throw SettingsError(message: "neither --data nor $ANNEAL_DATA nor $HOME says where the data folder is")
        }
        return home + "/.local/share/anneal"
    }

    static func absolute(_ path: String) throws(SettingsError) -> String {
        if path.hasPrefix("/") { return path }
        guard let folder = getcwd(nil, 0) else { throw SettingsError(message: "the current folder cannot be found") }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    private static func address(_ text: String) throws(SettingsError) -> (host: String, port: Int)? {
        if text == "none" { return nil }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port) else {
            throw SettingsError(message: "--listen must be HOST:PORT, not '\(text)'")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw SettingsError(message: "--listen must name a host, as in 127.0.0.1:7600") }
        return (host, port)
    }

    private static func memory(_ text: String?) throws(SettingsError) -> Int64? {
        guard let text else { return nil }
        guard let bytes = Quantity.bytes(.string(text)), bytes > 0 else {
            throw SettingsError(message: "--memory must be a size such as 64GiB, not '\(text)'")
        }
        return bytes
    }

    /// The file that is named for it, or the configuration where that holds it.
    private static func tokenFiles(_ file: ConfigurationFile) throws(SettingsError) -> [String] {
        if let path = file.text("token_file") { return [try absolute(path)] }
        return file.text("token") == nil ? [] : [try absolute(file.path)]
    }

    private static func token(_ file: ConfigurationFile) throws(SettingsError) -> String? {
        guard let path = file.text("token_file") else { return file.text("token") }
        return try TokenFile.read(path)
    }
}

/// The configuration file: a flat YAML mapping.
struct ConfigurationFile {
    private static let known = [
        "data", "listen", "socket", "gpus", "cpus", "memory", "hosts", "token", "token_file", "python", "trainer", "shim", "worker",
        "counters", "causes", "sample_interval", "metric_retention", "retention", "webhooks_to_private_addresses", "clusters",
        "secrets", "containers",
        "proxies", "rate_limits", "audit_retention", "paths",
    ]

    let path: String
    let members: JSONObject
    let document: SpecDocument

    /// - Parameter path: `nil` for no file.
    static func read(_ path: String?) throws(SettingsError) -> ConfigurationFile {
        guard let path else { return ConfigurationFile(path: "", members: [:], document: SpecDocument(value: [:])) }
        guard let file = fopen(path, "r") else { throw SettingsError(message: "\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: SpecLimits.documentBytesMax)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        switch SpecDocument.parse(bytes, format: .yaml) {
        case .failure(let errors): throw SettingsError(message: "\(path): \(errors)")
        case .success(let document):
            let members = document.value.object ?? [:]
            if let unknown = members.keys.first(where: { !known.contains($0) }) {
                throw SettingsError(message: "\(path): unknown key '\(unknown)'; known are \(known.joined(separator: ", "))")
            }
            return ConfigurationFile(path: path, members: members, document: document)
        }
    }

    func text(_ key: String) -> String? {
        switch members[key] {
        case nil, .null: nil
        case .string(let text): text
        case let value?: value.description
        }
    }

    /// The text `name` of a mapping; the mapping may also be the text itself.
    func text(_ name: String, below key: String) throws(SettingsError) -> String? {
        switch members[key] {
        case nil, .null: return nil
        case .string(let text): return text
        case .object(let inner):
            guard let value = inner[name] else { return nil }
            guard let text = value.string else { throw SettingsError(message: "\(path): '\(key).\(name)' must be a text") }
            return text
        default: throw SettingsError(message: "\(path): '\(key)' must be a text or a mapping")
        }
    }

    /// The list of texts `name` of a mapping.
    func texts(_ name: String, below key: String) throws(SettingsError) -> [String]? {
        guard let value = members[key]?[name] else { return nil }
        let texts = value.array?.compactMap(\.string)
        guard let texts, texts.count == value.array?.count else {
            throw SettingsError(message: "\(path): '\(key).\(name)' must be a list of texts")
        }
        return texts
    }

    func integer(_ key: String) throws(SettingsError) -> Int? {
        guard let value = members[key] else { return nil }
        guard let number = value.int else { throw SettingsError(message: "\(path): '\(key)' must be a whole number") }
        return number
    }

    func flag(_ key: String) throws(SettingsError) -> Bool? {
        guard let value = members[key] else { return nil }
        guard let flag = value.bool else { throw SettingsError(message: "\(path): '\(key)' must be true or false") }
        return flag
    }

    /// A member of a mapping that is true or false.
    func flag(_ name: String, in key: String) throws(SettingsError) -> Bool? {
        guard let value = members[key]?[name] else { return nil }
        guard let flag = value.bool else { throw SettingsError(message: "\(path): '\(key).\(name)' must be true or false") }
        return flag
    }

    func duration(_ key: String) throws(SettingsError) -> Duration? {
        guard let value = members[key] else { return nil }
        guard let duration = Quantity.duration(value) else {
            throw SettingsError(message: "\(path): '\(key)' must be a duration such as 2s")
        }
        return duration
    }

    /// A mapping of some of `names` to durations, or to `never`.
    ///
    /// - Parameter flag: a member that is none of them and is read by `flag(_:in:)`.
    func ages(_ key: String, names: [String], flag: String? = nil) throws(SettingsError) -> [String: Duration?] {
        guard let value = members[key] else { return [:] }
        guard let entries = value.object else { throw SettingsError(message: "\(path): '\(key)' must be a mapping") }
        var ages: [String: Duration?] = [:]
        for (name, value) in entries where name != flag {
            guard names.contains(name) else {
                throw SettingsError(message: "\(path): '\(key)' has no '\(name)'; known are \(names.joined(separator: ", "))")
            }
            if value.string == "never" {
                ages[name] = .some(nil)
            } else if let age = Quantity.duration(value) {
                ages[name] = age
            } else {
                throw SettingsError(message: "\(path): '\(key).\(name)' must be a duration such as 90d, or never")
            }
        }
        return ages
    }

    /// A mapping of some of `names` to numbers from 0.01 to a billion.
    func numbers(_ key: String, names: [String]) throws(SettingsError) -> [String: Double] {
        var numbers: [String: Double] = [:]
        for (name, value) in try entries(key, names: names) {
            guard let number = value.double, (0.01...1e9).contains(number) else {
                throw SettingsError(message: "\(path): '\(key).\(name)' must be a number from 0.01 to 1e9")
            }
            numbers[name] = number
        }
        return numbers
    }

    /// A mapping of some of `names` to lists of texts.
    func paths(_ key: String, names: [String]) throws(SettingsError) -> [String: [String]] {
        var lists: [String: [String]] = [:]
        for (name, value) in try entries(key, names: names) {
            let list = value.array?.compactMap(\.string)
            guard let list, list.count == value.array?.count else {
                throw SettingsError(message: "\(path): '\(key).\(name)' must be a list of paths")
            }
            lists[name] = list
        }
        return lists
    }

    /// A mapping that has none but these members; empty where it is not there.
    func entries(_ key: String, names: [String]) throws(SettingsError) -> JSONObject {
        guard let value = members[key] else { return [:] }
        guard let entries = value.object else { throw SettingsError(message: "\(path): '\(key)' must be a mapping") }
        if let unknown = entries.keys.first(where: { !names.contains($0) }) {
            throw SettingsError(message: "\(path): '\(key)' has no '\(unknown)'; known are \(names.joined(separator: ", "))")
        }
        return entries
    }

    func counts(_ key: String) throws(SettingsError) -> [String: Int] {
        guard let value = members[key] else { return [:] }
        let counts = value.object?.compactMapValues(\.int)
        guard let counts, counts.count == value.object?.count, counts.values.allSatisfy({ $0 >= 0 }) else {
            throw SettingsError(message: "\(path): '\(key)' must be a mapping of names to whole numbers")
        }
        return Dictionary(uniqueKeysWithValues: counts.map { ($0.key, $0.value) })
    }

    /// The clusters, whose nodes must see the data folder.
    func clusters(dataDirectory: String) throws(SettingsError) -> [ClusterTerms] {
        switch ClusterDocument.read(document) {
        case .failure(let errors): throw SettingsError(message: "\(path): \(errors)")
        case .success(let clusters):
            for cluster in clusters {
                guard let shared = cluster.dataDirectory, !(dataDirectory + "/").hasPrefix(shared + "/") else { continue }
                throw SettingsError(
                    message: "\(path): the data folder \(dataDirectory) is not in \(shared), which the cluster '\(cluster.name)' shares; "
                        + "start the daemon with --data below it")
            }
            return clusters
        }
    }

    /// A list of texts that `read` makes something of; an error names the line of the first that it does not.
    func list<Element>(_ key: String, of what: String, _ read: (String) -> Element?) throws(SettingsError) -> [Element] {
        guard let value = members[key], !value.isNull else { return [] }
        guard let elements = value.array else { throw fault(JSONPointer([key]), "'\(key)' must be a list of \(what), not \(value)") }
        var found: [Element] = []
        for (index, element) in elements.enumerated() {
            guard let made = element.string.flatMap(read) else {
                throw fault(
                    JSONPointer([key]) / index, "'\(key)' must be a list of \(what), not '\(element.string ?? element.description)'")
            }
            found.append(made)
        }
        return found
    }

    private func fault(_ pointer: JSONPointer, _ message: String) -> SettingsError {
        let line = document.position(of: pointer).map { ":\($0.line)" } ?? ""
        return SettingsError(message: "\(path)\(line): \(message)")
    }
}
