import Domain
import JSON

/// The keys of a kind of job, or of a training method, for people and programs that write specs. Made from the tables that specs are
/// checked by.
public struct ParameterGuide: Sendable {
    /// One key, with the keys of the mappings that may stand in it.
    public struct Entry: Sendable {
        public var name: String
        public var schema: ParameterSchema
        public var entries: [Entry]

        init(_ schema: ParameterSchema) {
            name = schema.name
            self.schema = schema
            entries = schema.type.tables.flatMap { $0 }.map(Entry.init)
        }
    }

    /// Why there is no guide, in words that say what there is.
    public struct Problem: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// What it is about: a kind, a method such as `train sft`, or a key such as `prepare pack`.
    public var title: String
    public var entries: [Entry]

    /// Subjects that are no kinds: the keys of a whole spec, and those of every job.
    private static let shared: [String: [ParameterSchema]] = ["experiment": ParameterSchema.document, "job": ParameterSchema.common]

    /// What a guide can be asked for.
    public static var subjects: [String] {
        JobKind.allCases.filter { !ParameterSchema.table(kind: $0).isEmpty }.map(\.rawValue) + ["job", "experiment"]
    }

    /// The guide to a kind of job, to `job` or to `experiment`.
    ///
    /// - Parameter part: of `train` a method, or else a key, of whichever depth, to which the guide is narrowed.
    public init(subject: String, part: String? = nil) throws(Problem) {
        guard Self.subjects.contains(subject) else {
            let hint = Spelling.suggestion(for: subject, among: Self.subjects)
            throw Problem(description: "there is no kind '\(subject)'\(hint); there are \(Self.subjects.joined(separator: ", "))")
        }
        title = subject
        let isMethod = subject == JobKind.train.rawValue && part.map(ParameterSchema.methods.contains) == true
        let table =
            Self.shared[subject] ?? JobKind(rawValue: subject).map { ParameterSchema.table(kind: $0, method: isMethod ? part : nil) }
        entries = (table ?? []).map(Entry.init)
        guard let part else { return }
        title += " " + part
        if isMethod {
            let parameters = ParameterSchema.parameters(method: part).map(Entry.init)
            for index in entries.indices where entries[index].name == "params" { entries[index].entries = parameters }
            return
        }
        let found = Self.all(in: entries).filter { $0.name == part }
        guard !found.isEmpty else { throw Self.unknown(part, of: subject, entries) }
        entries = found
    }

    private static func unknown(_ part: String, of subject: String, _ entries: [Entry]) -> Problem {
        let names = Self.all(in: entries).map(\.name)
        guard subject == JobKind.train.rawValue else {
            return Problem(description: "\(subject) has no key '\(part)'\(Spelling.suggestion(for: part, among: names))")
        }
        let hint = Spelling.suggestion(for: part, among: ParameterSchema.methods + names)
        let methods = ParameterSchema.methods.joined(separator: ", ")
        return Problem(description: "train has no method and no key '\(part)'\(hint); methods are \(methods)")
    }

    /// The entries and all below them, each before its own.
    private static func all(in entries: [Entry]) -> [Entry] { entries.flatMap { [$0] + all(in: $0.entries) } }

    /// The guide as a document: `{"subject": …, "parameters": [{"name", "type", "required", "default", …, "parameters": […]}]}`.
    public var json: JSONValue { ["subject": .string(title), "parameters": .array(entries.map(\.json))] }
}

extension ParameterGuide.Entry {
    /// What is left out of the document is not known, or not there.
    fileprivate var json: JSONValue {
        var members: JSONObject = [
            "name": .string(name), "type": .string(schema.type.description), "required": .bool(schema.isRequired),
        ]
        if let value = schema.defaultValue { members["default"] = value }
        if let unit = schema.unit { members["unit"] = .string(unit) }
        members["doc"] = .string(schema.doc)
        if let source = schema.source { members["source"] = .string(source) }
        if !entries.isEmpty { members["parameters"] = .array(entries.map(\.json)) }
        return .object(members)
    }
}

extension ValueType {
    /// The tables of the mappings that a value of this type is or holds.
    fileprivate var tables: [[ParameterSchema]] {
        switch self {
        case .object(let table), .resources(let table), .steps(let table): [table]
        case .list(let inner, _), .map(_, let inner), .nullable(let inner): inner.tables
        case .either(let types): types.flatMap(\.tables)
        default: []
        }
    }
}
