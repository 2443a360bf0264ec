import Domain
import JSON

/// A spec that was found right, with matrices expanded, references resolved to jobs and paths made absolute.
public struct ExperimentPlan: Sendable {
    public var name: String
    public var project: String
    public var description: String?
    public var tags: [String: String]
    /// The variables of all jobs; already merged into each job's own.
    public var environment: [String: String]
    /// The jobs in the order of the document, the members of a matrix side by side.
    public var jobs: [JobPlan]
    /// Indices into `jobs`, each job after all its needs; the order of the document where needs allow it.
    public var topologicalOrder: [Int]

    /// Checks a whole document and plans its jobs, or tells everything that is wrong with it.
    public static func make(from document: SpecDocument, context: PlanContext) -> Result<ExperimentPlan, SpecErrors> {
        var builder = PlanBuilder(document: document, context: context)
        return builder.build()
    }
}

/// One job of a plan.
public struct JobPlan: Sendable {
    /// The job's name; `sft-2` for the second member of the group `sft`.
    public var name: String
    public var kind: JobKind
    /// The program that does the work: `trl`, `transformers`, `vllm`, `anneal`, `shell` …
    public var engine: String
    /// The name in the document, for a member of a matrix.
    public var group: String?
    /// The member's values.
    public var matrix: JSONObject?
    /// Indices into the plan's jobs, ascending: `needs`, references and the jobs that `if` names.
    public var needs: [Int]
    /// Indices of the jobs of kind `serve` whose servers it asks, ascending. They run beside it, and are no needs.
    public var servers: [Int] = []
    /// `if`; `nil` where the job runs once all needs have succeeded.
    public var condition: Condition?
    public var priority: Int
    public var resources: ResourceRequest
    public var terms: SchedulingTerms
    public var timeout: Duration?
    public var retry: RetryPolicy
    public var cache: Bool
    /// The experiment's variables and the job's own; values may contain references, see `resolvedEnvironment`.
    public var environment: [String: String]
    /// The worker's folder; for commands the submission's where the job names none, else `nil` where it names none.
    public var workingDirectory: String?
    public var grace: Duration
    /// The job's body after its matrix's values are put in: local paths are absolute, `${…}` are kept and name jobs of this plan.
    public var spec: JSONValue
    public var references: [Reference]
    /// What the job takes from disk and from the registry.
    public var inputs: [ExternalInput]
    /// Names of the secrets that the job gets, those of the experiment among them.
    public var secrets: [String] { Self.secrets(of: spec) }
    /// The container that its worker runs in; `nil` for none.
    public var container: ContainerTerms? { ContainerTerms(job: spec) }
    /// The outputs that others may refer to.
    public var outputs: [String]

    /// A job's body as it stands in a plan with each reference replaced, and each `$${` by `${`.
    ///
    /// - Parameter lookup: the text to put in for a reference; for a whole job its outputs' absolute paths.
    public static func resolve(spec: JSONValue, lookup: (Reference) -> String) -> JSONValue {
        guard case .object(var members) = spec else { return spec }
        for index in members.keys.indices where !Self.keysWithoutReferences.contains(members.keys[index]) {
            members.values[index] = Self.resolved(members.values[index], at: JSONPointer([members.keys[index]]), lookup)
        }
        return .object(members)
    }

    /// Names of the secrets that a job with this body gets.
    public static func secrets(of spec: JSONValue) -> [String] { (spec["secrets"]?.array ?? []).compactMap(\.string) }

    /// The job's own spec, resolved.
    public func resolvedSpec(lookup: (Reference) -> String) -> JSONValue { Self.resolve(spec: spec, lookup: lookup) }

    /// The environment with each reference replaced, and each `$${` by `${`.
    public func resolvedEnvironment(lookup: (Reference) -> String) -> [String: String] {
        var result: [String: String] = [:]
        for (name, text) in environment {
            result[name] = Self.resolved(.string(text), at: JSONPointer(["env", name]), lookup).string
        }
        return result
    }

    /// Keys whose text is not searched for references: names, conditions and text for people.
    static let keysWithoutReferences: Set<String> = [
        "kind", "description", "needs", "if", "matrix", "engine", "method", "gate", "outputs", "secrets", "container",
    ]

    private static func resolved(_ value: JSONValue, at path: JSONPointer, _ lookup: (Reference) -> String) -> JSONValue {
        switch value {
        case .string(let text):
            guard ReferenceText.mightRefer(text) else { return value }
            // A plan contains no broken reference: they were errors.
            guard let parsed = try? ReferenceText(text) else { return value }
            return .string(parsed.substituting { lookup(Reference(pointer: path, job: $0.name, output: $0.path, expected: nil)) })
        case .array(let elements):
            return .array(elements.enumerated().map { resolved($1, at: path / $0, lookup) })
        case .object(var members):
            for index in members.keys.indices {
                members.values[index] = resolved(members.values[index], at: path / members.keys[index], lookup)
            }
            return .object(members)
        default:
            return value
        }
    }
}
