import Domain
import JSON

extension PlanBuilder {
    /// The plan of one job with its needs, references and condition; `nil` where its kind is wrong.
    mutating func link(_ index: Int) -> JobPlan? {
        var links = JobLinks(index: index)
        linkServers(&links)
        var body = drafts[index].body
        for position in body.keys.indices where !JobPlan.keysWithoutReferences.contains(body.keys[position]) {
            linkReferences(in: &body.values[position], at: JSONPointer([body.keys[position]]), &links)
        }
        drafts[index].body = body
        linkNeeds(body["needs"], &links)
        let condition = linkCondition(body["if"], &links)
        guard let kind = drafts[index].kind else { return nil }
        var plan = drafts[index].plan(kind: kind)
        // Names of jobs inside the variables were resolved in the body.
        for (name, value) in body["env"]?.object ?? [:] where value.string != nil { plan.environment[name] = value.string }
        plan.condition = condition
        plan.references = links.references
        plan.needs = links.sortedNeeds
        plan.servers = links.servers
        edges += plan.needs.count
        if edges > SpecLimits.needsMax {
            diagnostics.add(.tooLarge, at: JSONPointer(["jobs"]), "the jobs have more than \(SpecLimits.needsMax) needs in all")
            plan.needs = []
        }
        return plan
    }

    private mutating func linkReferences(in value: inout JSONValue, at path: JSONPointer, _ links: inout JobLinks) {
        switch value {
        case .string(let text):
            guard ReferenceText.mightRefer(text) else { return }
            do throws(ReferenceText.Problem) {
                var parsed = try ReferenceText(text)
                guard !parsed.references.isEmpty else { return }
                parsed.parts = parsed.parts.map { part in
                    guard case .reference(let token) = part else { return part }
                    return .reference(link(token, isWhole: parsed.whole != nil, at: path, &links))
                }
                value = .string(parsed.written)
            } catch {
                drafts[links.index].check.fail(.badValue, path, error.detail)
            }
        case .array(var elements):
            value = .null
            for index in elements.indices { linkReferences(in: &elements[index], at: path / index, &links) }
            value = .array(elements)
        case .object(var members):
            value = .null
            for index in members.keys.indices { linkReferences(in: &members.values[index], at: path / members.keys[index], &links) }
            value = .object(members)
        default: break
        }
    }

    /// Resolves one reference. The token comes back with the name of the member it means.
    private mutating func link(_ token: ReferenceText.Token, isWhole: Bool, at path: JSONPointer, _ links: inout JobLinks)
        -> ReferenceText.Token
    {
        let draft = drafts[links.index]
        if token.name == "matrix" {
            let detail = draft.combination == nil ? "in a job without a matrix" : "stands where the matrix's values are not put in"
            draft.check.fail(.unknownReference, path, "'${\(token.raw)}' \(detail)")
            return token
        }
        let candidates = names.candidates(for: token.name, combination: draft.combination)
        if candidates.count != 1 {
            failReference(token, candidates, draft, at: path)
            return token
        }
        let target = candidates[0]
        guard target != links.index else {
            draft.check.fail(.cycle, path, "'${\(token.raw)}' refers to the job itself")
            return token
        }
        links.needs.append(target)
        let expected = draft.check.expected[path]
        checkOutput(token, drafts[target], expected, draft, at: path)
        var resolved = token
        resolved.name = drafts[target].name
        links.references.append(
            Reference(pointer: path, job: resolved.name, output: token.path, expected: isWhole ? expected : nil))
        return resolved
    }

    private func failReference(_ token: ReferenceText.Token, _ candidates: [Int], _ draft: JobDraft, at path: JSONPointer) {
        if names.broken.contains(token.name) { return }
        let members = names.members(of: token.name)
        if members.isEmpty {
            let hint = Spelling.suggestion(for: token.name, among: names.all)
            let escape = ["command", "overrides"].contains(path.tokens.first) ? "; write '$${\(token.raw)}' for the literal text" : ""
            draft.check.fail(.unknownReference, path, "'${\(token.raw)}': there is no job '\(token.name)'\(hint)\(escape)")
        } else {
            let why = candidates.isEmpty ? "none of them has the matrix values of this job" : "it is not clear which of them is meant"
            let listed = members.prefix(10).map { drafts[$0].name }.joined(separator: ", ") + (members.count > 10 ? ", …" : "")
            draft.check.fail(
                .unknownReference, path,
                "'${\(token.raw)}': '\(token.name)' is a group of \(members.count) jobs, and \(why); its members: \(listed)")
        }
    }

    private func checkOutput(
        _ token: ReferenceText.Token, _ target: JobDraft, _ expected: ArtifactType?, _ draft: JobDraft, at path: JSONPointer
    ) {
        guard let kind = target.kind else { return }
        if EveryCheckpoint.isMeant(by: token, kind) { return checkEveryCheckpoint(token, draft, at: path) }
        if CheckpointSelection.isMeant(by: token, kind) { return checkSelection(token, of: target, draft, at: path) }
        guard let output = target.outputs.first(where: { $0.name == token.path }) else {
            let names = target.outputs.map(\.name)
            let hint = Spelling.suggestion(for: token.path, among: names)
            let known = names.isEmpty ? "it declares no outputs" : "its outputs: \(names.joined(separator: ", "))"
            draft.check.fail(
                .unknownReference, path,
                "'${\(token.raw)}': the \(kind.rawValue) job '\(token.name)' has no output '\(token.path)'\(hint); \(known)")
            return
        }
        if let expected, let type = output.type, type != expected {
            draft.check.fail(.wrongType, path, "'${\(token.raw)}' is \(type.nounPhrase); \(expected.nounPhrase) is needed here")
        }
    }

    private func linkNeeds(_ value: JSONValue?, _ links: inout JobLinks) {
        let listed: [(String, JSONPointer)] =
            switch value {
            case .string(let name)?: [(name, JSONPointer(["needs"]))]
            case .array(let elements)?:
                elements.enumerated().compactMap { index, element in
                    element.string.map { ($0, JSONPointer(["needs"]) / index) }
                }
            default: []
            }
        let draft = drafts[links.index]
        var seen: Set<String> = []
        for (name, path) in listed where !names.broken.contains(name) {
            if !seen.insert(name).inserted { draft.check.fail(.conflict, path, "'\(name)' stands twice in 'needs'"); continue }
            let members = names.members(of: name)
            if members.isEmpty {
                draft.check.fail(.unknownName, path, "there is no job '\(name)'\(Spelling.suggestion(for: name, among: names.all))")
            } else if members.contains(links.index) {
                draft.check.fail(.cycle, path, "the job needs itself")
            } else {
                links.needs.append(contentsOf: members)
            }
        }
    }

    private mutating func linkCondition(_ value: JSONValue?, _ links: inout JobLinks) -> Condition? {
        let path = JSONPointer(["if"])
        let draft = drafts[links.index]
        switch value {
        case .bool(let flag)?: return Condition(expression: .literal(flag))
        case .string(let text)?:
            do throws(ConditionProblem) {
                let condition = try Condition(text)
                checkStates(condition, draft.check, at: path)
                var resolved: [String: String] = [:]
                for job in condition.jobs where !names.broken.contains(job) {
                    guard let target = conditionTarget(job, draft, links.index, at: path) else { continue }
                    links.needs.append(target)
                    resolved[job] = drafts[target].name
                }
                return condition.renamingJobs { resolved[$0] ?? $0 }
            } catch {
                draft.check.fail(.badValue, path, error.detail)
                return nil
            }
        default: return nil
        }
    }

    private mutating func conditionTarget(_ job: String, _ draft: JobDraft, _ index: Int, at path: JSONPointer) -> Int? {
        let candidates = names.candidates(for: job, combination: draft.combination)
        if candidates == [index] { draft.check.fail(.cycle, path, "the condition speaks of the job itself"); return nil }
        if candidates.count == 1 { return candidates[0] }
        let members = names.members(of: job)
        if members.isEmpty {
            draft.check.fail(.unknownName, path, "there is no job '\(job)'\(Spelling.suggestion(for: job, among: names.all))")
        } else {
            let listed = members.prefix(10).map { drafts[$0].name }.joined(separator: ", ") + (members.count > 10 ? ", …" : "")
            draft.check.fail(.unknownName, path, "'\(job)' is a group; name one of its members: \(listed)")
        }
        return nil
    }

    /// A state that no job can end in is a misspelling.
    private func checkStates(_ condition: Condition, _ check: SchemaCheck, at path: JSONPointer) {
        let states = JobState.allCases.filter(\.isTerminal).map(\.rawValue)
        condition.forEachComparison { left, _, right in
            for (state, other) in [(left, right), (right, left)] {
                guard case .state(let job) = state, case .text(let text) = other, !states.contains(text) else { continue }
                let hint = Spelling.suggestion(for: text, among: states)
                check.fail(
                    .badValue, path,
                    "'\(job).state' is never \"\(text)\" when this is judged\(hint); it is one of \(states.joined(separator: ", "))")
            }
        }
    }
}

/// What one job has to do with others, while it is found out.
struct JobLinks {
    let index: Int
    /// In the order in which they were found, with repetitions.
    var needs: [Int] = []
    var references: [Reference] = []
    /// The jobs of kind `serve` that it asks.
    var servers: [Int] = []

    var sortedNeeds: [Int] {
        var result: [Int] = []
        for need in needs.sorted() where need != result.last { result.append(need) }
        return result
    }
}

extension ArtifactType {
    fileprivate var nounPhrase: String { (self == .evaluation ? "an " : "a ") + rawValue }
}
