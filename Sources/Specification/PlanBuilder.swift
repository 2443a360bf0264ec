import Domain
import JSON

/// Turns a document into a plan: first each job by itself, then what the jobs say of each other.
struct PlanBuilder {
    let document: SpecDocument
    let world: World
    let diagnostics: Diagnostics
    var drafts: [JobDraft] = []
    var names = JobNames()
    var environment: [String: String] = [:]
    /// The cluster of jobs that name none.
    var defaultCluster: String?
    /// The secrets of all jobs.
    var secrets: [String] = []
    /// The container of all jobs.
    var container: JSONObject?
    /// Needs of the jobs linked so far.
    var edges = 0
    /// The jobs of kind `serve`, linked before all others, with what they need.
    var servers: [Int: [Int]] = [:]
    /// The jobs that use each server.
    var serverUsers: [Int: [Int]] = [:]

    init(document: SpecDocument, context: PlanContext) {
        self.document = document
        world = World(context)
        self.diagnostics = Diagnostics(document: document)
    }

    mutating func build() -> Result<ExperimentPlan, SpecErrors> {
        var root = document.value
        var jobs: JSONValue = .null
        if case .object(var members) = root {
            substituteVariables(&members)
            // The jobs are checked one by one, each against the table of its kind.
            if let found = members["jobs"] { (jobs, members["jobs"]) = (found, .object([:])) }
            root = .object(members)
        }
        var check = SchemaCheck(world: world, diagnostics: diagnostics, base: JSONPointer())
        check.check(&root, as: .object(ParameterSchema.document), at: JSONPointer())
        environment = checkedEnvironment(root["env"], check, at: JSONPointer(["env"]))
        for (name, text) in environment.sorted(by: { $0.key < $1.key }) {
            refuseReferences(in: text, at: JSONPointer(["env", name]), check)
        }
        defaultCluster = root["cluster"]?.string
        if let name = defaultCluster { checkCluster(name, check, at: JSONPointer(["cluster"])) }
        container = check.containerMembers(root["container"])
        secrets = checkedSecrets(root["secrets"], environment, check)
        if document.value["jobs"] != nil { draft(jobs) }
        var plans = linkAll()
        checkClustersOfServers()
        let needs = plans.map { $0?.needs ?? [] }
        // A server ends after the jobs that use it.
        let ends = needs.indices.map { needs[$0] + serverUsers[$0, default: []] }
        _ = DependencyGraph(needs: ends).order { cycle in report(cycle) }
        if let errors = diagnostics.result { return .failure(errors) }
        let complete = plans.compactMap { $0 }
        plans = []
        let order = DependencyGraph(needs: needs).order { _ in }
        return .success(
            ExperimentPlan(
                name: root["name"]?.string ?? "", project: root["project"]?.string ?? "default", description: root["description"]?.string,
                tags: (root["tags"]?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.string }, environment: environment,
                jobs: complete, topologicalOrder: order))
    }

    /// Puts the values of `vars` into the environment and the jobs. A variable that nothing names was misspelt somewhere.
    private func substituteVariables(_ members: inout JSONObject) {
        let values = members["vars"]?.object ?? [:]
        // What is wrong with another value is found with the document's other keys.
        if members["vars"]?.object != nil { members["vars"] = .object([:]) }
        let check = SchemaCheck(world: world, diagnostics: diagnostics, base: JSONPointer())
        var substitution = ValueSubstitution(.vars, values, check: check)
        if let env = members["env"]?.object {
            members["env"] = .object(substitution.body(env, at: JSONPointer(["env"]), asText: true))
        }
        if var jobs = members["jobs"]?.object {
            for index in jobs.keys.indices {
                guard case .object(let body) = jobs.values[index] else { continue }
                jobs.values[index] = .object(substitution.body(body, at: JSONPointer(["jobs", jobs.keys[index]])))
            }
            members["jobs"] = .object(jobs)
        }
        for name in values.keys where !NameRule.variable.matches(name) {
            let detail = "'\(name)' is no name for a variable: \(NameRule.variable.description)"
            check.fail(.badValue, JSONPointer(["vars", name]), detail, atKey: true)
        }
        for name in values.keys where NameRule.variable.matches(name) && !substitution.used.contains(name) {
            let hint = Spelling.suggestion(for: name, among: substitution.used.sorted())
            check.fail(.unknownReference, JSONPointer(["vars", name]), "nothing names '${vars.\(name)}'\(hint)", atKey: true)
        }
    }

    /// The jobs of an experiment share its environment, and each has its own needs.
    private func refuseReferences(in text: String, at path: JSONPointer, _ check: SchemaCheck) {
        do throws(ReferenceText.Problem) {
            guard let token = try ReferenceText(text).references.first else { return }
            check.fail(
                .badValue, path, "'${\(token.raw)}' cannot stand in the environment of the whole experiment; set it in a job's own 'env'")
        } catch {
            check.fail(.badValue, path, error.detail)
        }
    }

    /// The variables of an `env`, as text.
    func checkedEnvironment(_ value: JSONValue?, _ check: SchemaCheck, at path: JSONPointer) -> [String: String] {
        guard case .object(let members)? = value else { return [:] }
        var result: [String: String] = [:]
        for (name, value) in members {
            if name.hasPrefix("ANNEAL_") || name == "CUDA_VISIBLE_DEVICES" {
                check.fail(.badValue, path / name, "'\(name)' is set by Anneal itself", atKey: true)
            }
            switch value {
            case .string(let text):
                if text.utf8.contains(0) { check.fail(.badValue, path / name, "must not contain a NUL character") }
                result[name] = text
            case .int, .bool: result[name] = value.description
            case .double(let number):
                // A schema takes 62.0 for a whole number; as a variable's text it could be either.
                let code: SpecError.Code = number == number.rounded() ? .conflict : .wrongType
                check.fail(code, path / name, "put the number in quotes, so that its digits stay as they are")
            default: break
            }
        }
        return result
    }

    /// The names of `secrets`, each once.
    func checkedSecrets(_ value: JSONValue?, _ environment: [String: String], _ check: SchemaCheck) -> [String] {
        var names: [String] = []
        for (index, name) in (value?.array ?? []).enumerated() {
            guard let name = name.string, !names.contains(name) else { continue }
            let path = JSONPointer(["secrets"]) / index
            if name.hasPrefix("ANNEAL_") || name == "CUDA_VISIBLE_DEVICES" {
                check.fail(.badValue, path, "'\(name)' is set by Anneal itself")
            }
            if environment[name] != nil {
                check.fail(.conflict, path, "'\(name)' stands in 'env' too; a secret is named in one of the two")
            }
            names.append(name)
        }
        return names
    }

    /// Reads the mapping of jobs, and expands matrices.
    private mutating func draft(_ jobs: JSONValue) {
        let base = JSONPointer(["jobs"])
        guard case .object(let members) = jobs else {
            diagnostics.add(.wrongType, at: base, "must be a mapping from names to jobs, not \(jobs.nounPhrase)")
            return
        }
        if members.isEmpty { diagnostics.add(.badValue, at: base, "must name at least one job") }
        for (name, body) in members {
            guard drafts.count < SpecLimits.jobsMax else {
                diagnostics.add(.tooLarge, at: base, "an experiment has at most \(SpecLimits.jobsMax) jobs")
                return
            }
            let check = SchemaCheck(world: world, diagnostics: diagnostics, base: base / name)
            if name == "matrix" || name == "vars" {
                check.fail(.badValue, JSONPointer(), "a job cannot be named '\(name)': '${\(name).key}' means something else", atKey: true)
            } else if !NameRule.job.matches(name) {
                check.fail(.badValue, JSONPointer(), "'\(name)' is no name for a job: \(NameRule.job.description)", atKey: true)
            }
            guard case .object(let object) = body else {
                check.fail(.wrongType, JSONPointer(), "a job is a mapping with a 'kind', not \(body.nounPhrase)")
                continue
            }
            draft(name, object, check)
        }
        for index in drafts.indices { names.add(drafts[index], at: index, diagnostics) }
        checkNamesOfCheckpointEvaluations()
    }

    private mutating func draft(_ name: String, _ body: JSONObject, _ check: SchemaCheck) {
        guard let matrix = body["matrix"] else {
            if let parts = GenerationChunks.parts(of: name, body) { return draft(parts, check) }
            drafts.append(JobDraft(name: name, group: nil, combination: nil, body: body, check: check, builder: self))
            return
        }
        let combinations = Matrix(matrix, check: check, jobsLeft: SpecLimits.jobsMax - drafts.count).combinations
        if combinations.isEmpty { names.broken.insert(name) }
        for (index, combination) in combinations.enumerated() {
            var substitution = ValueSubstitution(.matrix, combination, check: check)
            let substituted = substitution.body(body)
            drafts.append(
                JobDraft(
                    name: "\(name)-\(index + 1)", group: name, combination: combination, body: substituted, check: check, builder: self))
        }
    }

    private mutating func draft(_ parts: [GenerationChunks.Part], _ check: SchemaCheck) {
        guard drafts.count + parts.count <= SpecLimits.jobsMax else {
            return check.fail(.tooLarge, JSONPointer(["chunks"]), "an experiment has at most \(SpecLimits.jobsMax) jobs")
        }
        for part in parts {
            drafts.append(JobDraft(name: part.name, group: part.group, combination: nil, body: part.body, check: check, builder: self))
        }
    }

    private func report(_ cycle: [Int]) {
        let path = (cycle + [cycle[0]]).map { drafts[$0].name }.joined(separator: " → ")
        let detail =
            cycle.count == 1
            ? "the job needs itself"
            : "the jobs need each other in a cycle: \(path)"
                + (cycle.contains { servers[$0] != nil } ? "; a server ends after the jobs that use it" : "")
        diagnostics.add(.cycle, at: drafts[cycle[0]].check.base, detail, atKey: true)
    }
}
