import Devices
import Diagnosis
import Domain
import Glibc
import JSON
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
    /// Whether webhooks may go to addresses of this machine and of private networks.
    var allowsPrivateWebhooks: Bool
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
            memoryBytes: try memory(flags.memory ?? file.text("memory")), hosts: file.texts("hosts"), token: try token(file),
            python: file.text("python") ?? variable("ANNEAL_PYTHON"), trainer: file.text("trainer") ?? variable("ANNEAL_TRAINER"),
            shim: file.text("shim"), worker: file.text("worker"), counters: try counters(flags.counter, file),
            sampleInterval: try sampleInterval(file), metricRetention: try metricRetention(file),
            allowsPrivateWebhooks: try file.flag("webhooks_to_private_addresses") ?? false,
            causes: file.text("causes"))
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

    private static func absolute(_ path: String) throws(SettingsError) -> String {
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

    private static func token(_ file: ConfigurationFile) throws(SettingsError) -> String? {
        guard let path = file.text("token_file") else { return file.text("token") }
        return try TokenFile.read(path)
    }
}

/// The configuration file: a flat YAML mapping.
struct ConfigurationFile {
    private static let known = [
        "data", "listen", "socket", "gpus", "cpus", "memory", "hosts", "token", "token_file", "python", "trainer", "shim", "worker",
        "counters", "causes", "sample_interval", "metric_retention", "webhooks_to_private_addresses",
    ]

    private let path: String
    private let members: JSONObject

    /// - Parameter path: `nil` for no file.
    static func read(_ path: String?) throws(SettingsError) -> ConfigurationFile {
        guard let path else { return ConfigurationFile(path: "", members: [:]) }
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
            return ConfigurationFile(path: path, members: members)
        }
    }

    func text(_ key: String) -> String? {
        switch members[key] {
        case nil, .null: nil
        case .string(let text): text
        case let value?: value.description
        }
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

    func duration(_ key: String) throws(SettingsError) -> Duration? {
        guard let value = members[key] else { return nil }
        guard let duration = Quantity.duration(value) else {
            throw SettingsError(message: "\(path): '\(key)' must be a duration such as 2s")
        }
        return duration
    }

    /// A mapping of some of `names` to durations, or to `never`.
    func ages(_ key: String, names: [String]) throws(SettingsError) -> [String: Duration?] {
        guard let value = members[key] else { return [:] }
        guard let entries = value.object else { throw SettingsError(message: "\(path): '\(key)' must be a mapping") }
        var ages: [String: Duration?] = [:]
        for (name, value) in entries {
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

    func counts(_ key: String) throws(SettingsError) -> [String: Int] {
        guard let value = members[key] else { return [:] }
        let counts = value.object?.compactMapValues(\.int)
        guard let counts, counts.count == value.object?.count, counts.values.allSatisfy({ $0 >= 0 }) else {
            throw SettingsError(message: "\(path): '\(key)' must be a mapping of names to whole numbers")
        }
        return Dictionary(uniqueKeysWithValues: counts.map { ($0.key, $0.value) })
    }

    func texts(_ key: String) -> [String] { (members[key]?.array ?? []).compactMap(\.string) }
}
