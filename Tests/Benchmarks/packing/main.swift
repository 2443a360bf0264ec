// Packs the lengths of a file and writes the bins: the program that packing_bench.py times. It is compiled together with those sources of
// the Packing target that read and write no JSON, so that it needs no package.
//
//     packing LENGTHS CAPACITY PACKER TURNS BINS      a length a line; prints the seconds of each turn

import Foundation

let arguments = CommandLine.arguments
guard arguments.count == 6, let capacity = Int(arguments[2]), let turns = Int(arguments[4]) else {
    FileHandle.standardError.write(Data("usage: packing LENGTHS CAPACITY PACKER TURNS BINS\n".utf8))
    exit(2)
}
let lengths = try String(contentsOfFile: arguments[1], encoding: .utf8).split(separator: "\n").compactMap { Int($0) }
let options = PackingOptions(packer: try Packer(named: arguments[3]), capacity: capacity)
var bins: [[Int]] = []
for _ in 0..<turns {
    let start = ContinuousClock.now
    let plan = try PackingPlan.make(lengths: .sequences(lengths), options: options)
    print((ContinuousClock.now - start) / .seconds(1))
    bins = plan.bins
}
let text = bins.map { bin in bin.map(String.init).joined(separator: " ") }.joined(separator: "\n")
try Data((text + "\n").utf8).write(to: URL(fileURLWithPath: arguments[5]))
