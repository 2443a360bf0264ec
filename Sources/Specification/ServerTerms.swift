import Domain
import JSON

/// What a planned job of kind `serve` says of its life, and which servers other jobs use.
public struct ServerTerms: Sendable, Hashable {
    /// How long the server is kept while no job that uses it runs or is ready.
    public var linger: Duration
    /// True where jobs of the experiment use it; without any it is kept until it is cancelled.
    public var isShared: Bool

    /// The spec's default.
    public static let lingerDefault: Duration = .seconds(30)

    /// Reads the body of a planned job of kind `serve`.
    public init(spec: JSONValue) {
        linger = spec["linger"].flatMap(Quantity.duration) ?? Self.lingerDefault
        isShared = spec["consumers"]?.array?.isEmpty == false
    }

    /// The names of the servers that a planned job uses: its own and those of its judges, none twice.
    public static func used(in spec: JSONValue) -> [String] {
        var names = [spec["server"]?["job"]?.string].compactMap { $0 }
        for benchmark in spec["benchmarks"]?.array ?? [] {
            guard let name = benchmark["grading"]?["judge"]?["job"]?.string, !names.contains(name) else { continue }
            names.append(name)
        }
        return names
    }
}
