import Domain
import JSON

// Servers, for the kinds that start them, use those of other jobs, or ask those that run.
extension KindRules {
    func checkServe() {
        // Without an 'engine' there is nothing more to say than that it is missing.
        if body["server"]?["engine"] != nil { checkServer(body["server"], at: JSONPointer(["server"])) }
        checkModelFile()
        if body["cache"]?.bool == true {
            check.fail(.conflict, JSONPointer(["cache"]), "a server cannot be taken from the cache; the jobs that use it can")
        }
    }

    /// The keys that say where the server comes from; one of them must be given.
    private static let serverSources = ["engine", "job", "url"]

    /// - Parameters:
    ///   - startKeys: further keys that stand only with an 'engine'.
    ///   - urlKeys: keys that stand only with a 'url'.
    func checkServer(_ value: JSONValue?, at path: JSONPointer, startKeys: [String] = [], urlKeys: [String] = []) {
        guard case .object(let server)? = value else { return }
        let given = Self.serverSources.filter { server[$0] != nil }
        if given.count > 1 {
            let names = given.map { "'\($0)'" }
            check.fail(
                .conflict, path,
                "has \(given.count == 2 ? "both " : "")\(names.joined(separator: " and ")); a server is started, is another job's, or is there already",
                atKey: true)
        } else if given.isEmpty {
            check.fail(
                .required, path, "names neither 'engine' (\(ServerEngine.list)) nor 'job', a job of kind serve, nor 'url'", atKey: true)
        }
        guard given.count == 1 else { return }
        let owned = [("engine", ["args", "startup_timeout", "env"] + startKeys), ("url", urlKeys)]
        for (source, keys) in owned where source != given[0] {
            for key in keys where server[key] != nil { check.fail(.conflict, path / key, "stands only with '\(source)'", atKey: true) }
        }
        for flag in server["args"]?.object?.keys ?? [] where ["model", "host", "port"].contains(flag) {
            check.fail(.conflict, path / "args" / flag, "'\(flag)' is set by Anneal itself", atKey: true)
        }
    }

    /// The model that a job asks: its own key with an 'engine', and none beside a 'job', which serves its own.
    func checkServedModel() {
        guard let server = body["server"], server.object != nil else { return }
        if server["job"] != nil {
            if body["model"] != nil {
                check.fail(
                    .conflict, JSONPointer(["model"]), "cannot stand beside 'server.job': that job says which model it serves", atKey: true)
            }
        } else if body["model"] == nil, server["url"] == nil {
            check.fail(.required, JSONPointer(), "'model' is missing: \(ValueType.model)", atKey: true)
        }
        checkModelFile()
    }

    /// The server and the model of a judge.
    func checkJudgeServer(_ judge: JSONValue?, at path: JSONPointer) {
        checkServer(judge, at: path, urlKeys: ["api_key_env"])
        guard judge?.object != nil else { return }
        if judge?["job"] == nil, judge?["model"] == nil {
            check.fail(.required, path, "'model' is missing: its name at the 'url', or the folder that the 'engine' serves", atKey: true)
        } else if judge?["job"] != nil, judge?["model"] != nil {
            check.fail(.conflict, path / "model", "cannot stand beside 'job': that job says which model it serves", atKey: true)
        }
    }

    /// llama-server reads one file of its own format, and everything else a folder.
    func checkModelFile() {
        guard let text = body["model"]?.string, text.hasPrefix("/") else { return }
        let engine = body["server"]?["engine"]?.string
        if engine == ServerEngine.llamaServer.rawValue, !text.hasSuffix(".gguf") {
            check.fail(.conflict, JSONPointer(["model"]), "llama-server serves a file whose name ends in .gguf")
        } else if engine != ServerEngine.llamaServer.rawValue, text.hasSuffix(".gguf") {
            check.fail(.conflict, JSONPointer(["model"]), "a .gguf file can only be served by llama-server")
        }
    }
}
