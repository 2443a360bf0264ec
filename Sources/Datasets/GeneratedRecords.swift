import JSON

/// The rows of a generator, made when they are read.
final class GeneratedRecords: RecordCollection {
    private let generator: ToyGenerator
    private let order: [Int]?
    private let writer = JSONWriter(layout: .python)

    init(_ generator: ToyGenerator) {
        self.generator = generator
        order = generator.orderSeed.map { seed in
            var order = Array(0..<generator.count)
            var random = MersenneTwister(seed: seed, stream: RandomStream.generator)
            random.shuffle(&order)
            return order
        }
    }

    var count: Int { generator.count }

    func record(at index: Int) -> PreparedRecord {
        let row = order?[index] ?? index
        return PreparedRecord(value: generator.record(at: row), line: row + 1)
    }

    func label(at index: Int) -> String? { nil }
    func appendText(at index: Int, to output: inout [UInt8]) { writer.append(record(at: index).value, to: &output) }
}
