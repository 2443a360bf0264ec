import Domain
import JSON
import Store

/// Where a dataset came from, as its row keeps it.
enum DatasetSource {
    /// A dataset that was only fetched, without steps: its producer is a means and no cause. `nil` for others.
    static func fetched(by job: JobRecord) -> JSONValue? {
        guard job.kind == .prepare, job.spec["register_as"] != nil, job.spec["steps"]?.array?.isEmpty ?? true,
            let url = job.spec["source"]?["url"]?.string
        else { return nil }
        return ["kind": "url", "url": .string(plain(url))]
    }

    /// A URL without what may be secret in it: user, password and query.
    static func plain(_ url: String) -> String {
        let bare = String(url.prefix { $0 != "?" && $0 != "#" })
        guard let scheme = bare.range(of: "://") else { return bare }
        let rest = bare[scheme.upperBound...]
        let host = rest.prefix { $0 != "/" }
        guard let at = host.lastIndex(of: "@") else { return bare }
        return String(bare[..<scheme.upperBound]) + rest[rest.index(after: at)...]
    }
}

extension DatasetRecord {
    /// Whether its content is a user's file, used where it lies.
    var isReference: Bool { source?["kind"] == "file" && source?["copied"] == false }
    /// Whether the job that made it only fetched it.
    var isFetched: Bool { source?["kind"] == "url" }
}

/// A dataset that is not uploaded, as a request names it.
public struct DatasetRegistration: Sendable {
    /// Where its content is.
    public enum Place: Sendable {
        /// Fetched by a job; one of the machine's files, copied or used where it lies.
        case url(String, bytesMax: Int64?)
        case file(String, copies: Bool)
    }

    public var name: String
    public var place: Place
    /// What the content must have, in hexadecimal.
    public var sha256: String?
    /// `nil` where the records tell it.
    public var format: String?

    public init(name: String, place: Place, sha256: String?, format: String?) {
        (self.name, self.place, self.sha256, self.format) = (name, place, sha256, format)
    }
}
