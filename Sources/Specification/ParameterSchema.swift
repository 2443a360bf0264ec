import Domain
import JSON

/// One key of a spec: its name, type, range, default and meaning. These tables are what the checks run on and what the help prints.
public struct ParameterSchema: Sendable {
    public var name: String
    public var type: ValueType
    public var isRequired: Bool
    /// What holds where the key is left out; `nil` where that depends on other keys, which `doc` then tells, or where there is nothing.
    public var defaultValue: JSONValue?
    /// What it means, in one sentence.
    public var doc: String
    /// What a number counts or measures, such as `tokens`; `nil` where its meaning says it, or there is nothing.
    public var unit: String?
    /// Where the default comes from: a paper, or the configuration of another program; `nil` for one of our own.
    public var source: String?

    init(
        _ name: String, _ type: ValueType, default defaultValue: JSONValue? = nil, _ doc: String, unit: String? = nil, source: String? = nil
    ) {
        (self.name, self.type, self.isRequired, self.defaultValue, self.doc) = (name, type, false, defaultValue, doc)
        (self.unit, self.source) = (unit, source)
    }

    init(required name: String, _ type: ValueType, _ doc: String, unit: String? = nil) {
        (self.name, self.type, self.isRequired, self.defaultValue, self.doc) = (name, type, true, nil, doc)
        (self.unit, self.source) = (unit, nil)
    }

    /// The keys of a job of `kind` beside those that every job has (`common`); empty for kinds that this build does not run.
    ///
    /// - Parameter method: the training method, which decides on `params`; only for `train`.
    public static func table(kind: JobKind, method: String? = nil) -> [ParameterSchema] {
        switch kind {
        case .command: commandTable
        case .prepare: prepareTable
        case .train: trainTable(method: method)
        case .convert: convertTable
        case .evaluate: evaluateTable
        case .generate: generateTable
        case .serve: serveTable
        case .search: []
        }
    }

    /// The training methods that this build runs.
    public static var methods: [String] { TrainingMethod.all.map(\.name) }
}

/// The type and range of a value of a spec.
public indirect enum ValueType: Sendable {
    /// Any text that is not empty, up to so many bytes.
    case text(bytesMax: Int)
    case name(NameRule)
    case boolean
    case integer(ClosedRange<Int>)
    case number(NumberRange)
    /// One of some words; `later` are words that a later build will know.
    case choice([String], later: [String] = [])
    case duration(ClosedRange<Duration>)
    /// A size in bytes, such as `16GiB`.
    case memory
    /// A text; whole numbers are read as their digits.
    case argument
    /// A text, number or boolean.
    case scalar
    /// A local path to something that exists.
    case path(PathKind, ArtifactType?)
    case model
    /// A model or an adapter in any format: its folder, a registered checkpoint, or an output.
    case weights
    case dataset
    case evaluation
    case httpURL
    case list(ValueType, count: ClosedRange<Int>)
    case object([ParameterSchema])
    /// What a job asks of the machine: known keys, and further ones with whole numbers, which are counters.
    case resources([ParameterSchema])
    /// A number of GPUs, a range of numbers as text, or a part of one GPU.
    case gpuCount
    /// A mapping with free keys.
    case map(keys: NameRule, ValueType)
    /// A list of mappings with one key each, which names a step.
    case steps([ParameterSchema])
    case nullable(ValueType)
    /// The first of several types whose sort of value fits.
    case either([ValueType])
}

/// What stands at a local path.
public enum PathKind: String, Sendable, Hashable {
    case file, directory
}

/// A range of floating-point numbers.
public struct NumberRange: Sendable, Hashable {
    public var lower: Double
    public var includesLower: Bool
    public var upper: Double?
    public var includesUpper: Bool

    /// Numbers greater than `lower`, and at most `upper`.
    public static func above(_ lower: Double, upTo upper: Double? = nil) -> NumberRange {
        NumberRange(lower: lower, includesLower: false, upper: upper, includesUpper: true)
    }

    /// Numbers of at least `lower`, and at most `upper`.
    public static func atLeast(_ lower: Double, upTo upper: Double? = nil) -> NumberRange {
        NumberRange(lower: lower, includesLower: true, upper: upper, includesUpper: true)
    }

    /// Numbers of at least `lower` and less than `upper`.
    public static func atLeast(_ lower: Double, below upper: Double) -> NumberRange {
        NumberRange(lower: lower, includesLower: true, upper: upper, includesUpper: false)
    }

    /// Numbers between `lower` and `upper`, without both.
    public static func between(_ lower: Double, _ upper: Double) -> NumberRange {
        NumberRange(lower: lower, includesLower: false, upper: upper, includesUpper: false)
    }

    /// False for NaN and infinities, too.
    public func contains(_ number: Double) -> Bool {
        guard number.isFinite, includesLower ? number >= lower : number > lower else { return false }
        guard let upper else { return true }
        return includesUpper ? number <= upper : number < upper
    }
}

extension NumberRange: CustomStringConvertible {
    public var description: String {
        let low = includesLower ? "at least \(Self.text(lower))" : "greater than \(Self.text(lower))"
        guard let upper else { return low }
        return low + (includesUpper ? " and at most \(Self.text(upper))" : " and less than \(Self.text(upper))")
    }

    private static func text(_ number: Double) -> String { Int64(exactly: number).map { String($0) } ?? number.description }
}

extension ValueType: CustomStringConvertible {
    /// The type in words, such as "an integer from 1 to 100".
    public var description: String {
        switch self {
        case .text: "a text"
        case .name(let rule): "a name (\(rule.description))"
        case .boolean: "true or false"
        case .integer(let range): Self.text(of: range)
        case .number(let range): "a number \(range)"
        case .choice(let words, _): words.count == 1 ? "'\(words[0])'" : "one of \(words.joined(separator: ", "))"
        case .duration: "a duration such as 90s, 30m, 4h, 1d or a number of seconds"
        case .memory: "a size such as 16GiB or a number of bytes"
        case .argument: "a text"
        case .scalar: "a text, a number, true or false"
        case .path(.file, _): "the path of a file"
        case .path(.directory, _): "the path of a folder"
        case .model: "a model: the path of a folder, checkpoint:<id> or ${job.output}"
        case .weights: "the path of a folder, checkpoint:<id> or ${job.output}"
        case .dataset: "a dataset: the path of a file, a registered name, name@version, ds_<id> or ${job.output}"
        case .evaluation: "an evaluation: a path, eval_<id> or ${job.evaluation}"
        case .httpURL: "an http:// or https:// URL"
        case .list(let element, _): "a list, each element \(element)"
        case .object, .resources: "a mapping"
        case .gpuCount: "a number of GPUs up to 1024, a range such as \"1-8\", or a part of one such as 0.5"
        case .map: "a mapping"
        case .steps(let steps): "a list of steps (\(steps.map(\.name).joined(separator: ", ")))"
        case .nullable(let inner): "\(inner), or null"
        case .either(let types): types.map(\.description).joined(separator: ", or ")
        }
    }

    private static func text(of range: ClosedRange<Int>) -> String {
        if range.upperBound == Int.max { return "an integer of at least \(range.lowerBound)" }
        return range.lowerBound == -Int.max ? "an integer" : "an integer from \(range.lowerBound) to \(range.upperBound)"
    }

    /// True where a value is of the sort that this type is written in, whatever its range.
    func fitsSort(of value: JSONValue) -> Bool {
        switch (self, value) {
        case (.nullable(let inner), _): value.isNull || inner.fitsSort(of: value)
        case (.either(let types), _): types.contains { $0.fitsSort(of: value) }
        case (.boolean, .bool), (.list, .array), (.steps, .array), (.object, .object), (.map, .object), (.resources, .object): true
        case (.gpuCount, .int), (.gpuCount, .bigInteger), (.gpuCount, .double), (.gpuCount, .string): true
        case (.integer, .int), (.integer, .bigInteger): true
        case (.integer, .double(let number)): number.rounded() == number
        case (.number, .int), (.number, .double), (.number, .bigInteger): true
        case (.duration, .int), (.duration, .double), (.duration, .string), (.memory, .int), (.memory, .double), (.memory, .string): true
        case (.argument, .string), (.argument, .int), (.argument, .bigInteger): true
        case (.scalar, .string), (.scalar, .int), (.scalar, .double), (.scalar, .bool): true
        case (.text, .string), (.name, .string), (.choice, .string), (.path, .string), (.model, .string),
            (.weights, .string), (.dataset, .string), (.evaluation, .string), (.httpURL, .string):
            true
        default: false
        }
    }
}
