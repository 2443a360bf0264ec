import Evaluation
import Generation
import JSON

/// How the answers of a benchmark are graded.
struct EvaluateGrading: Sendable {
    /// A program that grades one answer.
    struct Program: Sendable {
        var arguments: [String]
        var timeout: Duration
    }

    /// A model that grades.
    struct Judge: Sendable {
        var server: EvaluateRequest.Server
        var mode: Judgement.Mode
        var prompt: String
        var settings: SamplingSettings
        var seed: Int
    }

    var rules: Grading
    var definition: MetricDefinition
    /// For the `command` grader.
    var program: Program?
    /// For the `judge` grader.
    var judge: Judge?
    /// The member `grading` of the spec, without the environment of a judge's server.
    var options: JSONObject

    /// Whether items may lack an expected answer.
    var isFree: Bool { program != nil || judge?.mode == .single }

    /// Reads the members `grader`, `grading` and `definition` of a benchmark.
    init(_ benchmark: RequestFields, context: WorkerContext) throws {
        guard let grader = Grader(rawValue: try benchmark.string("grader") ?? "exact") else {
            throw benchmark.failure("grader", "is none of \(Grader.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let definition = MetricDefinition(rawValue: try benchmark.string("definition") ?? "unbiased") else {
            throw benchmark.failure("definition", "is none of \(MetricDefinition.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.definition = definition
        let fields = try benchmark.has("grading") ? benchmark.fields("grading") : RequestFields([:], at: benchmark.pointer / "grading")
        options = Self.withoutSecrets(fields.members)
        var pointer: JSONPointer?
        if let text = try fields.string("path") {
            guard let path = JSONPointer(text: text) else { throw fields.failure("path", "'\(text)' is no JSON pointer such as /answer") }
            pointer = path
        }
        rules = Grading(
            grader, extraction: try Self.extraction(fields), modulo: try fields.int("modulo", in: 1...1_000_000_000), pointer: pointer,
            allowsMore: try fields.string("compare") == "contains")
        if grader == .command {
            let arguments = try fields.strings("command")
            guard !arguments.isEmpty else { throw fields.failure("command", "is missing: the program that grades, with its arguments") }
            program = Program(arguments: arguments, timeout: try fields.duration("timeout") ?? .seconds(60))
        }
        if grader == .judge { judge = try Self.judge(try fields.fields("judge"), context: context) }
    }

    /// A server's environment may hold keys, which do not belong in a result.
    private static func withoutSecrets(_ options: JSONObject) -> JSONObject {
        guard case .object(var judge)? = options["judge"] else { return options }
        var options = options
        judge["env"] = nil
        options["judge"] = .object(judge)
        return options
    }

    private static func extraction(_ fields: RequestFields) throws -> AnswerExtraction? {
        let source = try fields.string("pattern")
        switch try fields.string("answer") ?? (source == nil ? nil : "pattern") {
        case nil: return nil
        case "text": return .text
        case "boxed": return .boxed
        case "hashes": return .hashes
        case "pattern":
            do throws(TextPattern.SyntaxError) {
                return .pattern(try TextPattern(source ?? AnswerExtraction.finalAnswerPattern))
            } catch {
                throw fields.failure("pattern", error.description)
            }
        case let other?: throw fields.failure("answer", "'\(other)' is none of text, boxed, hashes, pattern")
        }
    }

    private static func judge(_ fields: RequestFields, context: WorkerContext) throws -> Judge {
        guard let mode = Judgement.Mode(rawValue: try fields.string("mode") ?? "single") else {
            throw fields.failure("mode", "is none of \(Judgement.Mode.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let model = try context.input(at: (fields.pointer / "model").description)?.path ?? fields.required("model")
        let settings = SamplingSettings(maxTokens: try fields.int("max_tokens", in: 1...10_000_000) ?? 1024, temperature: 0)
        return Judge(
            server: try EvaluateRequest.server(fields, model: model, context: context), mode: mode,
            prompt: try fields.string("prompt") ?? (mode == .single ? Judgement.singlePrompt : Judgement.pairPrompt), settings: settings,
            seed: try fields.int("seed") ?? 0)
    }
}
