import Domain
import JSON

/// The mapping `clusters` of the daemon's configuration: names to terms.
public enum ClusterDocument {
    /// Reads the clusters of a configuration, by name, or tells everything that is wrong with them.
    public static func read(_ document: SpecDocument) -> Result<[ClusterTerms], SpecErrors> {
        let diagnostics = Diagnostics(document: document)
        let base = JSONPointer(["clusters"])
        guard let value = document.value["clusters"], !value.isNull else { return .success([]) }
        var clusters: [ClusterTerms] = []
        if let members = value.object {
            if members.count > SpecLimits.clustersMax {
                diagnostics.add(.tooLarge, at: base, "there are \(members.count) clusters; at most \(SpecLimits.clustersMax) are allowed")
            }
            for (name, value) in members { clusters.append(terms(name, value, base / name, diagnostics)) }
        } else {
            diagnostics.add(.wrongType, at: base, "must be a mapping from names to clusters, not \(value.nounPhrase)")
        }
        if let errors = diagnostics.result { return .failure(errors) }
        return .success(clusters.sorted { $0.name < $1.name })
    }

    /// What can be said of this machine; the rest are other keys of the configuration.
    private static let localKeys: Set<String> = ["executor", "environment"]

    private static func terms(_ name: String, _ value: JSONValue, _ base: JSONPointer, _ diagnostics: Diagnostics) -> ClusterTerms {
        let world = World(PlanContext(baseDirectory: nil, pathExists: { _ in nil }, artifactExists: { _ in false }))
        var check = SchemaCheck(world: world, diagnostics: diagnostics, base: base)
        var value = value
        check.check(&value, as: .object(ParameterSchema.cluster), at: JSONPointer())
        let isLocal = value["executor"]?.string == ClusterTerms.local
        if isLocal, name == ClusterTerms.local {
            for key in value.object?.keys.sorted() ?? [] where !localKeys.contains(key) {
                check.fail(.conflict, JSONPointer([key]), "means nothing with 'executor: local'", atKey: true)
            }
        } else if isLocal {
            check.fail(
                .badValue, JSONPointer(["executor"]), "this machine is the cluster '\(ClusterTerms.local)'; describe it under that name")
        } else if name == ClusterTerms.local {
            check.fail(
                .badValue, JSONPointer(), "'\(name)' is this machine itself; give the cluster another name, or write 'executor: local'",
                atKey: true)
        } else if !NameRule.experiment.matches(name) {
            check.fail(.badValue, JSONPointer(), "'\(name)' is no name for a cluster: \(NameRule.experiment.description)", atKey: true)
        }
        let terms = Self.terms(name, value)
        for key in ["data", "programs", "slurm_conf", "shim", "worker", "python", "trainer"] {
            if let path = value[key]?.string, !path.hasPrefix("/") { check.fail(.badValue, JSONPointer([key]), "must be an absolute path") }
        }
        if let limit = terms.timeLimit, limit <= terms.margin {
            check.fail(.conflict, JSONPointer(["time"]), "must be longer than 'margin', which is \(terms.margin.inSeconds) s")
        }
        if let rest = value["rest"]?.object, (rest["url"] == nil) == (rest["socket"] == nil) {
            check.fail(.conflict, JSONPointer(["rest"]), "takes either 'url' or 'socket'")
        }
        if let path = value["rest"]?["socket"]?.string, !path.hasPrefix("/") {
            check.fail(.badValue, JSONPointer(["rest", "socket"]), "must be an absolute path")
        }
        if terms.pollLeast > terms.pollMost { check.fail(.conflict, JSONPointer(["poll"]), "'least' must not be longer than 'most'") }
        for (index, line) in terms.setup.enumerated() where line.utf8.contains(0) {
            check.fail(.badValue, JSONPointer(["setup"]) / index, "must not contain a NUL character")
        }
        ContainerDocument.checkMounts(value["containers"], base / "containers", diagnostics)
        return terms
    }

    private static func terms(_ name: String, _ value: JSONValue) -> ClusterTerms {
        var terms = ClusterTerms(name: name)
        (terms.partition, terms.account) = (value["partition"]?.string, value["account"]?.string)
        (terms.qos, terms.constraint) = (value["qos"]?.string, value["constraint"]?.string)
        terms.timeLimit = value["time"].flatMap(Quantity.duration)
        terms.ahead = value["ahead"]?.int ?? terms.ahead
        terms.gpusPerNode = value["gpus_per_node"]?.int
        terms.dataDirectory = value["data"]?.string
        terms.setup = (value["setup"]?.array ?? []).compactMap(\.string)
        for (name, text) in value["environment"]?.object ?? [:] { terms.environment[name] = text.string ?? text.description }
        terms.arguments = (value["arguments"]?.array ?? []).compactMap(\.string)
        terms.margin = value["margin"].flatMap(Quantity.duration) ?? terms.margin
        terms.lag = value["lag"].flatMap(Quantity.duration) ?? terms.lag
        terms.pollLeast = value["poll"]?["least"].flatMap(Quantity.duration) ?? terms.pollLeast
        terms.pollMost = value["poll"]?["most"].flatMap(Quantity.duration) ?? max(terms.pollMost, terms.pollLeast)
        terms.programs = value["programs"]?.string
        terms.configurationPath = value["slurm_conf"]?.string
        terms.rest = value["rest"].flatMap(restAccess)
        terms.url = value["url"]?.string
        (terms.shim, terms.worker) = (value["shim"]?.string, value["worker"]?.string)
        (terms.python, terms.trainer) = (value["python"]?.string, value["trainer"]?.string)
        return terms
    }

    private static func restAccess(_ value: JSONValue) -> ClusterTerms.RESTAccess? {
        guard value.object != nil else { return nil }
        var url = value["url"]?.string ?? "http://localhost"
        while url.hasSuffix("/") { url.removeLast() }
        return ClusterTerms.RESTAccess(
            url: url, socket: value["socket"]?.string, user: value["user"]?.string,
            token: value["token"]?.string ?? ClusterTerms.RESTAccess.tokenDefault)
    }
}
