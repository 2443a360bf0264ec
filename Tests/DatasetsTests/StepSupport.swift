import Foundation
import JSON
import Testing

@testable import Datasets

/// Runs steps on records without the detour over a spec.
struct StepRun {
    var result: Preparation.Result
    var records: [JSONValue]
    var log: [String]
    let folder: TemporaryFolder

    /// Prepares `lines`, one record each.
    init(
        _ lines: [JSONValue], format: DatasetFormat? = .records, _ steps: PreparationStep...,
        runProgram: ((ProgramRun) throws -> Void)? = nil
    ) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in.jsonl", lines.map { $0.text(layout: .python) + "\n" }.joined())
        try self.init(Preparation(source: .files([path]), format: format, steps: steps), in: folder, runProgram: runProgram)
    }

    init(_ preparation: Preparation, in folder: TemporaryFolder, runProgram: ((ProgramRun) throws -> Void)? = nil) throws {
        self.folder = folder
        var log: [String] = []
        result = try preparation.run(folder: folder.path, log: { log.append($0) }, runProgram: runProgram)
        self.log = log
        records = try result.outputs.flatMap { try folder.lines("\($0.name).jsonl") }.map { try JSONParser.parse($0, options: .python) }
    }

    /// The texts of one member.
    func texts(_ key: String) -> [String] { records.map { $0[key]?.plainText ?? "" } }

    /// Why records were left out, by the step's position.
    func dropped(_ position: Int) -> [String: Int] { result.steps[position - 1].dropped }
}

/// A generation of a problem.
func generation(_ problem: String, _ text: String, isCorrect: Bool? = nil) -> JSONValue {
    var members: JSONObject = ["problem": .string(problem), "generation": .string(text)]
    if let isCorrect { members["is_correct"] = .bool(isCorrect) }
    return .object(members)
}
