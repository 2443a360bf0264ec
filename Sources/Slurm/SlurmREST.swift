import Domain
import Glibc
import HTTPClient
import JSON

/// slurmrestd in place of sbatch, squeue, scancel and scontrol. Every call blocks.
///
/// The shapes are those of its OpenAPI plugin v0.0.38 (Slurm 22.05). It cannot send a signal to the batch script alone, so the shim
/// watches for the end of the allocation by its own clock, and finds orders of the daemon at its next look.
struct SlurmREST: Sendable {
    private static let patience: Duration = .seconds(60)
    private static let root = "/slurm/v0.0.38"
    /// Only its presence is asked for; what a job's script needs it sets itself.
    private static let environment: JSONValue = ["PATH": "/usr/local/bin:/usr/bin:/bin"]

    let access: ClusterTerms.RESTAccess
    /// The token, read anew for each call: such tokens expire, and are renewed while the daemon runs.
    let token: @Sendable () throws -> String

    /// Submits a script with the options of sbatch; returns Slurm's id of the job.
    func submit(_ options: [String], script: String) throws(SlurmError) -> String {
        let body: JSONValue = [
            "script": .string(script), "job": .object(try Self.properties(of: options, environment: Self.environment)),
        ]
        let answer = try call("POST", "/job/submit", body, isSubmission: true)
        guard let id = answer["job_id"]?.int, id > 0 else { throw SlurmError(.unknown, "slurmrestd answered without a job id") }
        return String(id)
    }

    /// Every job that Slurm remembers.
    func queue() throws(SlurmError) -> [SlurmJob] {
        (try call("GET", "/jobs")["jobs"]?.array ?? []).compactMap(Self.job)
    }

    /// Takes jobs that wait out of the queue; those that run are left alone.
    func cancelPending(_ ids: [String]) throws(SlurmError) {
        let waiting = Set(try queue().filter(\.state.isWait).map(\.id))
        try cancel(ids.filter(waiting.contains))
    }

    /// Ends jobs, whatever they are at.
    func cancel(_ ids: [String]) throws(SlurmError) {
        for id in ids {
            do {
                _ = try call("DELETE", "/job/" + id)
            } catch  where error.kind == .refused {
                // One that has ended meanwhile is no longer Slurm's to end.
            }
        }
    }

    /// Changes a job that waits.
    func update(_ id: String, _ properties: JSONObject) throws(SlurmError) { _ = try call("POST", "/job/" + id, .object(properties)) }

    /// Asks whether Slurm answers.
    func ping() throws(SlurmError) { _ = try call("GET", "/ping") }

    // MARK: Shapes

    /// Options of sbatch as properties of a job: the names are the same but for a few.
    static func properties(of options: [String], environment: JSONValue) throws(SlurmError) -> JSONObject {
        var properties: JSONObject = ["environment": environment]
        for option in options {
            guard option.hasPrefix("--") else {
                throw SlurmError(.refused, "the option '\(option)' cannot be given through slurmrestd; write it as --name=value")
            }
            let parts = option.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let value = parts.count == 2 ? parts[1] : nil
            switch parts[0] {
            // A signal to the script alone is none that it takes.
            case "signal", "parsable": continue
            case "no-requeue": properties["requeue"] = false
            case "exclusive": properties["exclusive"] = .string(value ?? "exclusive")
            default:
                let name = names[parts[0]] ?? parts[0].replacing("-", with: "_")
                let number = value.flatMap { numbers.contains(name) ? Int64($0) : nil }
                properties[name] = number.map(JSONValue.int) ?? value.map(JSONValue.string) ?? true
            }
        }
        return properties
    }

    private static let names = [
        "job-name": "name", "output": "standard_output", "error": "standard_error", "chdir": "current_working_directory",
        "mem": "memory_per_node", "time": "time_limit", "ntasks-per-node": "tasks_per_node", "ntasks": "tasks",
    ]
    private static let numbers: Set<String> = ["nice", "nodes", "tasks_per_node", "tasks", "cpus_per_task", "time_limit"]

    /// A job of its list as squeue would tell of it.
    static func job(_ value: JSONValue) -> SlurmJob? {
        guard let number = value["job_id"]?.int, let state = value["job_state"]?.string, let name = value["name"]?.string else {
            return nil
        }
        var id = String(number)
        if let array = value["array_job_id"]?.int, array > 0, let task = value["array_task_id"]?.int { id = "\(array)_\(task)" }
        let start = value["start_time"]?.int.flatMap { $0 > 0 ? String($0) : nil } ?? "N/A"
        let fields = [id, state, name, start, value["nodes"]?.string ?? "", value["state_reason"]?.string ?? "None"]
        return SlurmJob(line: fields.joined(separator: "|")[...])
    }

    // MARK: Transfer

    private func call(_ method: String, _ path: String, _ body: JSONValue? = nil, isSubmission: Bool = false) throws(SlurmError)
        -> JSONValue
    {
        var headers = [(name: "X-SLURM-USER-NAME", value: access.user ?? Self.userName)]
        do {
            headers.append(("X-SLURM-USER-TOKEN", try token()))
        } catch {
            throw SlurmError(.unknown, "\(error)")
        }
        if body != nil { headers.append(("Content-Type", "application/json")) }
        let request = HTTPClientRequest(
            url: access.url + Self.root + path, method: method, headers: headers, body: body.map { JSONWriter().bytes(of: $0) },
            timeout: Self.patience, unixSocketPath: access.socket)
        let response: HTTPClientResponse
        do {
            response = try BlockingHTTPClient.perform(request)
        } catch {
            throw SlurmError(.unknown, "slurmrestd: \(error)")
        }
        let answer = (try? JSONParser.parse(response.body)) ?? .null  // what is no JSON is told by its status
        // A job that is held is taken, and told of as an error.
        if isSubmission, let id = answer["job_id"]?.int, id > 0 { return answer }
        let complaints = (answer["errors"]?.array ?? []).compactMap { $0["description"]?.string ?? $0["error"]?.string }
        if response.isSuccess, complaints.isEmpty { return answer }
        if complaints.isEmpty || [401, 403].contains(response.status) {
            let advice = response.status == 401 ? "; its token may have expired (scontrol token makes one)" : ""
            throw SlurmError(.unknown, "slurmrestd answered \(response.status)\(advice)")
        }
        throw SlurmError.of(complaint: complaints.joined(separator: "\n"))
    }

    /// Looked up once: getpwuid(3) answers in memory that all threads share.
    private static let userName: String = {
        guard let entry = getpwuid(getuid()), let name = entry.pointee.pw_name else { return String(getuid()) }
        return String(cString: name)
    }()
}
