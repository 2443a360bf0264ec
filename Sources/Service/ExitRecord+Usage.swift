import Domain
import JSON
import Supervision

extension ExitRecord {
    /// What the worker used of the machine, as the database and the API show it: seconds and bytes.
    var usage: JSONValue {
        var members: JSONObject = [
            "wall_seconds": .double(wall.inSeconds), "user_cpu_seconds": .double(userCPU.inSeconds),
            "system_cpu_seconds": .double(systemCPU.inSeconds), "max_rss_bytes": .int(maxRSSBytes),
        ]
        if coreDumped { members["core_dumped"] = true }
        if let oomKills { members["oom_kills"] = .int(Int64(oomKills)) }
        if !survivors.isEmpty { members["survivors"] = .array(survivors.map { .int(Int64($0)) }) }
        return .object(members)
    }
}
