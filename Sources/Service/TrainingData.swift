import Datasets
import JSON
import Specification
import Store

/// What training on preference pairs asks of its data: looked at when all the job's needs have ended, before it may take a GPU.
///
/// What only a tokenizer can tell, that prompts are prefixes and how many pairs are too long, the trainer looks at before it loads the
/// model; so it does for the other methods.
struct TrainingData: Sendable {
    /// What a record must be.
    enum Content: Sendable {
        /// Preference pairs.
        case pairs
        /// Preference pairs, or texts of which each odd one is better than the next.
        case pairsOrTexts
        /// Texts with numbers.
        case numbers
    }

    let content: Content
    /// Samples of one step, and so (NeMo-Aligner's rule) the fewest of either dataset; `nil` where packs hold any number.
    let least: Int?

    /// `nil` for a job that does not train on pairs.
    init?(_ spec: JSONValue) {
        let (method, params) = (spec["method"]?.string ?? "", spec["params"])
        switch method {
        case "dpo", "ipo", "rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl": content = .pairs
        case "reward": content = params?["loss"] == "regression" ? .numbers : .pairsOrTexts
        default: return nil
        }
        let key = "global_batch_size"
        let usual = ParameterSchema.parameters(method: method).first { $0.name == key }?.defaultValue
        least = params?["packing"]?.object == nil ? (params?[key] ?? usual)?.int.map { Int($0) } : nil
    }

    /// The datasets of a job that are looked at.
    static let pointers = ["dataset", "validation"].map { JSONPointer([$0]) }

    /// Throws `invalidDataset` where an input's records are not what the method reads, or fewer than one step takes.
    func check(_ input: ResolvedInput) throws {
        let count: Int
        do {
            count = try samples(in: input)
        } catch let error as FileError {
            throw ServiceError(.invalidDataset, "\(input.pointer): \(error)")
        }
        guard let least, count < least else { return }
        let unit = content == .numbers ? "record(s)" : "pair(s)"
        throw ServiceError(
            .invalidDataset,
            "\(input.pointer): \(input.path) has \(count) \(unit), and one global batch is \(least) (params.global_batch_size)")
    }

    /// A registered dataset of pairs was looked at when it came.
    private func samples(in input: ResolvedInput) throws -> Int {
        if content == .numbers {
            var rows = 0
            try JSONLineReader(path: input.path).read { line in rows += line.isBlank ? 0 : 1 }
            return rows
        }
        if input.format == DatasetFormat.preference.rawValue, let rows = input.rows { return rows }
        let facts = try DatasetInspection.inspect(path: input.path, format: content == .pairs ? .preference : nil)
        if content == .pairsOrTexts {
            if facts.format == .text, facts.errorCount == 0 { return facts.rows / 2 }
            // A file that begins with another record is told of by the trainer, which knows more forms.
            guard facts.format == .preference else { return facts.rows }
        }
        guard let first = facts.errors.first else { return facts.rows }
        throw ServiceError(
            .invalidDataset,
            "\(input.pointer): \(input.path) has \(facts.errorCount) error(s) in \(facts.rows) record(s); the first: \(first)")
    }
}

extension AnnealService {
    /// Throws `invalidDataset` where the data of a train job are not what it needs.
    func checkTrainingData(_ record: JobRecord, _ resolved: ResolvedJob) async throws {
        guard record.kind == .train, record.engine ?? "trl" == "trl", let data = TrainingData(resolved.spec) else { return }
        for input in resolved.inputs where TrainingData.pointers.contains(input.pointer) {
            try await inspecting.run { try data.check(input) }
        }
    }
}
