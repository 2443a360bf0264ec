import JSON

/// Writes a plan, line by line; see `PackingPlanReader` for the way back.
public struct PackingPlanWriter: Sendable {
    private let plan: PackingPlan
    private let provenance: PackingProvenance

    public init(_ plan: PackingPlan, provenance: PackingProvenance) throws(PackingError) {
        try provenance.check(line: nil)
        self.plan = plan
        self.provenance = provenance
    }

    /// Hands each line to `sink`, in UTF-8 and without its line feed. No more than one line is held at a time.
    public func write(to sink: (borrowing [UInt8]) throws -> Void) rethrows {
        let writer = JSONWriter()
        var line: [UInt8] = []
        func put(_ value: JSONValue) throws {
            line.removeAll(keepingCapacity: true)
            writer.append(value, to: &line)
            try sink(line)
        }
        try put(PackingPlanFormat.header(of: plan, provenance: provenance))
        for (number, records) in plan.bins.enumerated() {
            try put(["bin": .int(Int64(number)), "records": places(records), "lengths": lengths(records)])
        }
        try put(["end": true, "dropped": ["records": places(plan.dropped), "lengths": lengths(plan.dropped)]])
    }

    private func places(_ records: [Int]) -> JSONValue { .array(records.map { .int(Int64($0)) }) }
    private func lengths(_ records: [Int]) -> JSONValue { PackingPlanFormat.lengths(records, of: plan.lengths) }
}
