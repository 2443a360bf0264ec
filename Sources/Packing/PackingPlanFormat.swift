import JSON

/// The file of a packing plan: JSON Lines, a header, one line for each bin, and an end.
///
/// ```
/// {"format":"anneal.packing-plan","version":1,"kind":"sft","packer":"first_fit_decreasing","capacity":8,"seed":0,
///  "pad_multiple":1,"min_bin_count":null,"bin_count_multiple":null,"max_sequence_length":null,"overlong":"refuse",
///  "tokenizer_sha256":"…","dataset_sha256":"…","records":8,"bins":3,"statistics":{…}}
/// {"bin":0,"records":[7,5],"lengths":[5,3]}
/// {"bin":1,"records":[6,0],"lengths":[4,4]}
/// {"bin":2,"records":[2,3,4,1],"lengths":[3,2,1,1]}
/// {"end":true,"dropped":{"records":[],"lengths":[]}}
/// ```
///
/// - `kind` is `sft` or `dpo`. Lengths are in tokens and without padding; of a pair they are `[chosen, rejected]`.
/// - `records` are places in the dataset, from 0, blank lines not counted. Each record is in one bin or in `dropped`, and in one only.
/// - `statistics` has the names of NeMo RL's packing metrics and those of NeMo 1.x's packing metadata; a reader computes them again and
///   refuses a file whose own differ.
/// - A file without its end was cut off, and is refused.
enum PackingPlanFormat {
    static let name = "anneal.packing-plan"
    static let version = 1

    static func kind(of lengths: PackingLengths) -> String {
        switch lengths {
        case .sequences: "sft"
        case .pairs: "dpo"
        }
    }

    static func lengths(_ records: [Int], of lengths: PackingLengths) -> JSONValue {
        switch lengths {
        case .sequences(let all): .array(records.map { .int(Int64(all[$0])) })
        case .pairs(let all): .array(records.map { [.int(Int64(all[$0].chosen)), .int(Int64(all[$0].rejected))] })
        }
    }

    static func header(of plan: PackingPlan, provenance: PackingProvenance) -> JSONValue {
        let options = plan.options
        return [
            "format": .string(name), "version": .int(Int64(version)), "kind": .string(kind(of: plan.lengths)),
            "packer": .string(options.packer.rawValue), "capacity": .int(Int64(options.capacity)), "seed": .int(Int64(options.seed)),
            "pad_multiple": .int(Int64(options.padMultiple)), "min_bin_count": number(options.minBinCount),
            "bin_count_multiple": number(options.binCountMultiple), "max_sequence_length": number(options.maxSequenceLength),
            "overlong": .string(options.overlong.rawValue), "tokenizer_sha256": text(provenance.tokenizerHash),
            "dataset_sha256": text(provenance.datasetHash), "records": .int(Int64(plan.lengths.count)),
            "bins": .int(Int64(plan.bins.count)), "statistics": plan.statistics.json(capacity: options.capacity),
        ]
    }

    private static func number(_ value: Int?) -> JSONValue { value.map { .int(Int64($0)) } ?? .null }
    private static func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
}

extension PackingStatistics {
    /// The measures under upstream's names; the last six of the first block are those of NeMo 1.x's metadata, rounded as there.
    public func json(capacity: Int) -> JSONValue {
        func whole(_ number: Int) -> JSONValue { .int(Int64(number)) }
        func hundredths(_ number: Double) -> JSONValue { .double((number * 100).rounded(.toNearestOrEven) / 100) }
        return [
            "num_sequences": whole(sequenceCount), "num_bins": whole(binCount), "total_sequence_length": whole(totalSequenceLength),
            "total_bin_capacity": whole(totalBinCapacity), "total_waste": whole(totalWaste),
            "average_utilization": .double(averageUtilization), "waste_ratio": .double(wasteRatio), "bin_balance": .double(binBalance),
            "theoretical_min_bins": whole(theoreticalMinBins), "bin_efficiency": .double(binEfficiency),
            "dataset_max_seqlen": whole(maxSequenceLength), "max_samples_per_bin": whole(maxSequencesPerBin),
            "packing_factor": hundredths(sequencesPerBin), "packing_efficiency": hundredths(averageUtilization * 100),
            "pack_size": whole(capacity), "min_packed_seqlen": whole(minBinLoad),
            "total_padding": whole(totalPadding), "dropped": whole(droppedCount),
            "length_histogram": .array(lengthHistogram.map(whole)), "load_histogram": .array(loadHistogram.map(whole)),
        ]
    }
}
