import Domain
import JSON

// Jobs that ask the server of another job.
extension PlanBuilder {
    /// The plans of all jobs; `nil` for those whose kind is wrong. Servers come first, since those who use one take its model over.
    mutating func linkAll() -> [JobPlan?] {
        var plans = [JobPlan?](repeating: nil, count: drafts.count)
        for index in drafts.indices where drafts[index].kind == .serve {
            plans[index] = link(index)
            servers[index] = plans[index]?.needs ?? []
        }
        for index in drafts.indices where drafts[index].kind != .serve { plans[index] = link(index) }
        for (server, users) in serverUsers {
            guard let plan = plans[server], case .object(var body) = plan.spec else { continue }
            body["consumers"] = .array(users.map { .string(drafts[$0].name) })
            plans[server]?.spec = .object(body)
        }
        return plans
    }

    /// Puts what a job of kind `serve` says of its server and model into the jobs that name it: so these need what it needs, their
    /// lineage and their cache key hold the model, and a change of the server's flags is a change of theirs.
    mutating func linkServers(_ links: inout JobLinks) {
        var body = drafts[links.index].body
        if let server = body["server"], let found = serverBody(server, at: JSONPointer(["server"]), &links) {
            body["server"] = .object(Self.described(server.object ?? [:], by: found))
            body["model"] = found["model"]
        }
        if case .array(var benchmarks)? = body["benchmarks"] {
            for index in benchmarks.indices {
                let path = JSONPointer(["benchmarks"]) / index / "grading" / "judge"
                guard case .object(var benchmark) = benchmarks[index], case .object(var grading)? = benchmark["grading"],
                    case .object(let judge)? = grading["judge"], let found = serverBody(.object(judge), at: path, &links)
                else { continue }
                var described = Self.described(judge, by: found)
                described["model"] = found["model"]
                grading["judge"] = .object(described)
                benchmark["grading"] = .object(grading)
                benchmarks[index] = .object(benchmark)
            }
            body["benchmarks"] = .array(benchmarks)
        }
        drafts[links.index].body = body
        links.servers = Set(links.servers).sorted()
        for server in links.servers {
            serverUsers[server, default: []].append(links.index)
            links.needs += servers[server] ?? []
        }
    }

    private static func described(_ server: JSONObject, by found: JSONObject) -> JSONObject {
        var server = server
        server["job"] = found["name"]
        server["engine"] = found["server"]?["engine"]
        server["args"] = found["server"]?["args"]
        return server
    }

    /// The body of the job that `server.job` names, with its `name`; `nil` where none is named or it cannot be.
    private mutating func serverBody(_ server: JSONValue, at path: JSONPointer, _ links: inout JobLinks) -> JSONObject? {
        guard let name = server["job"]?.string, !names.broken.contains(name), drafts[links.index].kind != .serve else { return nil }
        let place = path / "job"
        let draft = drafts[links.index]
        let candidates = names.candidates(for: name, combination: draft.combination)
        guard candidates.count == 1 else {
            let members = names.members(of: name)
            if members.isEmpty {
                let servers = drafts.filter { $0.kind == .serve }.map(\.name)
                draft.check.fail(.unknownName, place, "there is no job '\(name)'\(Spelling.suggestion(for: name, among: servers))")
            } else {
                let listed = members.prefix(10).map { drafts[$0].name }.joined(separator: ", ") + (members.count > 10 ? ", …" : "")
                draft.check.fail(.unknownName, place, "'\(name)' is a group of \(members.count) jobs; name one of them: \(listed)")
            }
            return nil
        }
        let target = candidates[0]
        guard let kind = drafts[target].kind else { return nil }
        guard kind == .serve else {
            draft.check.fail(.conflict, place, "the job '\(name)' is of kind \(kind.rawValue); a job of kind serve is needed here")
            return nil
        }
        links.servers.append(target)
        var found = drafts[target].body
        found["name"] = .string(drafts[target].name)
        return found
    }
}
