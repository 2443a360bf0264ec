import JSON

/// What spec.json asks for. Members that this shim does not know are ignored, so that a newer daemon can use an older shim.
struct Spec {
    /// The highest version of spec.json that this shim reads.
    static let version = 1

    var argv: [String]
    var environment: [(key: String, value: String)]
    var workingDirectory: String?
    /// From the start of the worker until the stop ladder begins with reason `timeout`.
    var timeLimit: Int64?
    var plan: StopPlan
    /// How long processes that outlive the worker may go on before they are killed.
    var stragglerGrace: Int64
    /// How long killed processes may take to vanish before they are reported as survivors.
    var killPatience: Int64
    /// Bytes that each of stdout.log and stderr.log may reach before the stop ladder begins with reason `log_limit`.
    var logBytesMax: Int64?
    var controlGroup: ControlGroupChoice
    /// On a cluster: on how many nodes of the allocation it runs, and how many processes it is meant to have on each.
    var nodes = 1
    var processesPerNode = 1
    /// On a cluster: the longest that the worker may take to end when its allocation does.
    var allocationGrace: Int64?
    /// From the start of the batch job until its worker is asked to save, where the cluster has not told it before.
    var allocationTime: Int64?
    /// What the tree may use of main memory, where its group can be held to it.
    var memoryBytesMax: Int64?
    /// Names of variables whose values come beside this file, see `Secrets`.
    var secrets: [String]
    /// Run when nothing of the worker is left.
    var cleanUp: [CleanUp]
}

/// Where the worker's control group is made.
enum ControlGroupChoice: Equatable {
    case none
    case belowOwn
    case below(String)
}

/// Why spec.json cannot be used.
struct SpecError: Error {
    var message: String
}

extension Spec {
    init(parsing bytes: [UInt8]) throws(SpecError) {
        let document: JSONValue
        do {
            document = try JSONParser.parse(bytes)
        } catch {
            throw SpecError(message: "spec.json is not JSON: \(error)")
        }
        guard document.object != nil else { throw SpecError(message: "spec.json is not an object") }
        guard let version = document["version"]?.int else { throw SpecError(message: "spec.json has no version") }
        guard version <= Self.version else {
            throw SpecError(message: "spec.json has version \(version); this shim reads up to \(Self.version)")
        }
        argv = try Self.strings(document["argv"], name: "argv")
        guard let program = argv.first, !program.isEmpty else { throw SpecError(message: "spec.json names no program in argv") }
        environment = try Self.environment(document["environment"])
        workingDirectory = try document["working_directory"].flatMap { value throws(SpecError) -> String? in
            value.isNull ? nil : try Self.cString(value, name: "working_directory")
        }
        timeLimit = milliseconds(document["time_limit_ms"])
        plan = StopPlan(document["ladder"] ?? .null, fallback: .standard)
        stragglerGrace = milliseconds(document["straggler_grace_ms"]) ?? 2_000
        killPatience = milliseconds(document["kill_patience_ms"]) ?? 30_000
        logBytesMax = document["log_bytes_max"]?.int.map(Int64.init)
        nodes = max(1, document["nodes"]?.int ?? 1)
        processesPerNode = max(1, document["processes_per_node"]?.int ?? 1)
        allocationGrace = milliseconds(document["allocation_grace_ms"])
        allocationTime = milliseconds(document["allocation_time_ms"])
        memoryBytesMax = document["memory_bytes_max"]?.int.map(Int64.init)
        secrets = try document["secrets"].map { value throws(SpecError) in try Self.strings(value, name: "secrets") } ?? []
        cleanUp = []
        for step in document["clean_up"]?.array ?? [] {
            cleanUp.append(
                CleanUp(
                    argv: try Self.strings(step["argv"], name: "clean_up"), output: step["output"]?.string,
                    tries: min(max(1, step["tries"]?.int ?? 1), CleanUp.triesMax)))
        }
        controlGroup =
            switch document["control_group"] {
            case .bool(false): .none
            case .string(let parent): .below(parent)
            default: .belowOwn
            }
    }

    private static func strings(_ value: JSONValue?, name: String) throws(SpecError) -> [String] {
        guard let elements = value?.array else { throw SpecError(message: "\(name) of spec.json is not an array") }
        var strings: [String] = []
        for element in elements { strings.append(try cString(element, name: name)) }
        return strings
    }

    private static func environment(_ value: JSONValue?) throws(SpecError) -> [(key: String, value: String)] {
        guard let members = value?.object else { throw SpecError(message: "environment of spec.json is not an object") }
        var environment: [(key: String, value: String)] = []
        for (key, member) in members {
            guard !key.isEmpty, !key.utf8.contains(UInt8(ascii: "=")), !key.utf8.contains(0) else {
                throw SpecError(message: "environment of spec.json has a variable that cannot be named '\(key)'")
            }
            environment.append((key, try cString(member, name: "environment variable \(key)")))
        }
        return environment
    }

    /// A string that survives the way through C, which ends strings at a zero byte.
    private static func cString(_ value: JSONValue, name: String) throws(SpecError) -> String {
        guard let text = value.string else {
            throw SpecError(message: "\(name) of spec.json holds \(value.typeName) where a string should stand")
        }
        guard !text.utf8.contains(0) else { throw SpecError(message: "\(name) of spec.json holds a zero byte") }
        return text
    }
}

extension Spec {
    /// Takes the secrets out of the environment, which the worker has by now.
    mutating func forgetSecrets() { environment.removeAll { secrets.contains($0.key) } }
}

/// A span of time in milliseconds, kept within what can be added to a clock; `nil` where there is none.
func milliseconds(_ value: JSONValue?) -> Int64? {
    guard let number = value?.int else { return nil }
    return min(max(0, Int64(number)), 1 << 50)
}
