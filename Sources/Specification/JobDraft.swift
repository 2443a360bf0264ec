import Domain
import JSON

/// A job whose own body is checked, and whose ties to other jobs are not.
struct JobDraft {
    let name: String
    let group: String?
    let combination: JSONObject?
    /// The body with paths made absolute.
    var body: JSONObject
    /// `nil` where `kind` is missing or wrong.
    let kind: JobKind?
    let check: SchemaCheck
    let environment: [String: String]
    let outputs: [(name: String, type: ArtifactType?)]
    /// The cluster it runs on; `nil` for this machine.
    let cluster: String?

    init(name: String, group: String?, combination: JSONObject?, body: JSONObject, check: SchemaCheck, builder: PlanBuilder) {
        (self.name, self.group, self.combination) = (name, group, combination)
        kind = body["kind"]?.string.flatMap(JobKind.init).flatMap { JobKind.supported.contains($0) ? $0 : nil }
        var check = check
        var value = JSONValue.object(kind == nil ? Self.commonPart(of: body) : body)
        check.check(
            &value, as: .object(NemoRLEngine.table(kind: kind, spec: value).map(Self.withCommon) ?? Self.table(kind, body)),
            at: JSONPointer())
        self.body = value.object ?? [:]
        var environment = builder.environment
        environment.merge(builder.checkedEnvironment(value["env"], check, at: JSONPointer(["env"]))) { _, own in own }
        self.environment = environment
        self.body["container"] = check.container(of: value["container"], in: builder.container).map(JSONValue.object)
        let secrets = builder.checkedSecrets(value["secrets"], environment, check)
        for name in builder.secrets where environment[name] != nil && builder.environment[name] == nil {
            check.fail(.conflict, JSONPointer(["env", name]), "'\(name)' is a secret of the experiment", atKey: true)
        }
        let all = builder.secrets + secrets.filter { !builder.secrets.contains($0) }
        if !all.isEmpty { self.body["secrets"] = .array(all.map(JSONValue.string)) }
        if let folder = value["workdir"]?.string, ReferenceText.mightRefer(folder) {
            check.fail(.badValue, JSONPointer(["workdir"]), "a reference cannot stand here")
        }
        outputs = kind.map { JobOutputs.declared(kind: $0, body: body) } ?? []
        let own = value["cluster"]?.string
        if let own { builder.checkCluster(own, check, at: JSONPointer(["cluster"])) }
        cluster = (own ?? builder.defaultCluster).flatMap { $0 == ClusterTerms.local ? nil : $0 }
        self.check = check
        if let kind { KindRules(body: self.body, resources: resources, check: check).check(kind) }
    }

    private static func commonPart(of body: JSONObject) -> JSONObject {
        body.filter { member in ParameterSchema.common.contains { $0.name == member.key } }
    }

    /// The keys of a job of the kind; a kind may give a common key a wider meaning of its own.
    private static func table(_ kind: JobKind?, _ body: JSONObject) -> [ParameterSchema] {
        switch kind {
        case nil: ParameterSchema.common
        case .train?: withCommon(ParameterSchema.table(kind: .train, method: body["method"]?.string))
        case let kind?: tables[kind] ?? []
        }
    }

    private static let tables: [JobKind: [ParameterSchema]] = Dictionary(
        uniqueKeysWithValues: JobKind.allCases.map { ($0, withCommon(ParameterSchema.table(kind: $0))) })

    private static func withCommon(_ own: [ParameterSchema]) -> [ParameterSchema] {
        ParameterSchema.common.filter { common in !own.contains { $0.name == common.name } } + own
    }

    var engine: String {
        switch kind {
        case .train: body["engine"]?.string ?? "trl"
        case .convert: body["engine"]?.string ?? ConvertEngine.transformers.rawValue
        case .serve: body["server"]?["engine"]?.string ?? ServerEngine.transformers.rawValue
        case .evaluate, .generate, .prepare: "anneal"
        default: "shell"
        }
    }

    /// The plan of the job, without what it needs.
    func plan(kind: JobKind) -> JobPlan {
        let workdir = body["workdir"]?.string ?? (kind == .command ? check.world.context.baseDirectory : nil)
        return JobPlan(
            name: name, kind: kind, engine: engine, group: group, matrix: combination, needs: [], condition: nil,
            priority: body["priority"]?.int ?? 50, resources: resources, terms: terms, timeout: body["timeout"].flatMap(Quantity.duration),
            retry: retry,
            cache: kind != .serve && body["cache"]?.bool ?? true, environment: environment, workingDirectory: workdir,
            grace: body["grace"].flatMap(Quantity.duration) ?? (kind == .train ? .seconds(300) : .seconds(30)),
            spec: .object(body), references: [], inputs: check.externals, outputs: outputs.map(\.name))
    }
}
