import Foundation
import JSON
import Testing
import WebDataset

/// A folder of images and a file of records, thrown away at the end.
final class Workbench {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "webdataset-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path + "/images/coco", withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var output: String { path + "/shards" }

    func write(_ name: String, _ content: String) throws { try Data(content.utf8).write(to: URL(fileURLWithPath: path + "/" + name)) }

    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)) }

    /// Records `0..<count` with an image each, the way LLaVA has them.
    func records(_ count: Int, imageBytes: (Int) -> Int = { 3 + $0 % 600 }) throws {
        var lines = ""
        for number in 0..<count {
            try write("images/coco/\(number).jpg", String(repeating: "\(number % 10)", count: imageBytes(number)))
            lines += Self.record(number) + "\n"
        }
        try write("records.jsonl", lines)
    }

    static func record(_ number: Int, image: String? = nil) -> String {
        #"{"id":"img-\#(number)","image":"\#(image ?? "coco/\(number).jpg")","conversations":["#
            + #"{"from":"human","value":"<image>\n何が見えますか？ \#(number)"},"#
            + #"{"from":"gpt","value":"猫 \#(number)"},{"from":"human","value":"色は？"},{"from":"gpt","value":"黒"}]}"#
    }

    @discardableResult
    func export(_ options: WebDatasetOptions = WebDatasetOptions(ratios: .init(train: 1, validation: 0, test: 0)), to output: String? = nil)
        throws
        -> WebDatasetExport.Result
    {
        try WebDatasetExport(records: path + "/records.jsonl", images: path + "/images", options: options).run(
            folder: output ?? self.output)
    }

    /// What Python's tarfile and sqlite3 find in the folder.
    func check() throws -> JSONValue {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("check_shards.py").path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-B", script, output]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return try JSONParser.parse(data)
    }

    /// Every file below a folder, and its content.
    func tree(_ folder: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            if let content = FileManager.default.contents(atPath: folder + "/" + name) { found[name] = content }
        }
        return found
    }
}
