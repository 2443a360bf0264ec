import Foundation
import JSON
import Testing

@Suite(.serialized) struct PrepareProcessTests {
    @Test func theGeneratorsDataAreSplitAndRegistered() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(
            kind: "prepare",
            spec: [
                "source": ["generator": ["name": "times_ten", "count": 200]],
                "steps": [["split": ["train": 0.9, "validation": 0.1, "seed": 7]]],
            ])
        #expect(ending.exitCode == 0, "\(ending.output)")
        let train = try #require(ending.outputs?["outputs"]?["train"])
        #expect(train["rows"] == 180 && train["format"] == "messages" && train["type"] == "dataset")
        #expect(ending.outputs?["outputs"]?["validation"]?["rows"] == 20)
        let path = try #require(train["path"]?.string)
        #expect(try fixture.lines(path).count == 180)
        #expect(train["bytes"]?.int == (try fixture.text(path)).utf8.count)
        let last = try #require(try fixture.metrics().last)
        #expect(last["progress/done"] == last["progress/total"] && last["step"] == 200)
        #expect(ending.output.contains("split: train 180, validation 20"))
    }

    @Test func brokenDataAreRefusedWithLineAndPointer() throws {
        let fixture = try WorkerFixture()
        let path = try fixture.write("in.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n")
        let ending = try fixture.run(kind: "prepare", spec: ["source": ["file": .string(path)]])
        #expect(ending.exitCode == 65)
        #expect(ending.reason == "bad_data")
        #expect(
            ending.outputs?["error"]?["errors"]?[0] == [
                "pointer": "/messages/0", "detail": "the last message is from 'user'; it must be from the assistant", "line": 1,
            ])
        #expect(ending.output.contains("error: bad_data: "))
    }

    private static let senseless: [(JSONValue, String)] = [
        (["source": [:]], "/source"), (["source": ["file": "/nowhere/x.jsonl"]], ""), (["source": ["url": "ftp://x"]], "/source/url"),
        (["source": ["file": "/x"], "steps": [["fly": [:]]]], "/steps/0/fly"), (["source": ["file": "/x"], "format": "xml"], "/format"),
        (["source": ["generator": ["name": "times_ten"]]], "/source/generator/count"),
        (["source": ["file": "/x"], "steps": [["split": ["train": 0.9, "validation": 3]]]], "/steps/0/split"),
        (["source": ["file": "/x"], "compat": "seed"], "/steps"),
        (["source": ["generator": ["name": "times_ten", "count": 3]], "steps": [["jcqa_messages": [:]]]], "/steps"),
    ]

    @Test(arguments: senseless)
    func aRequestThatMakesNoSenseIsRefusedWithItsPlace(spec: JSONValue, pointer: String) throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(kind: "prepare", spec: spec)
        #expect(ending.exitCode == 64, "\(ending.output)")
        #expect(ending.reason == "bad_config")
        #expect(ending.message.hasPrefix(pointer), "\(ending.message)")
    }

    @Test func aSourceIsFetchedAndCheckedByItsHash() throws {
        let fixture = try WorkerFixture()
        let server = try FakeServer(mode: "good")
        let url = JSONValue.string(server.url + "/data.jsonl")
        let good = try fixture.run(kind: "prepare", spec: ["source": ["url": url], "steps": [["to_messages": nil]]])
        #expect(good.exitCode == 0, "\(good.output)")
        #expect(good.outputs?["outputs"]?["dataset"]?["rows"] == 3)
        let wrong = try fixture.run(kind: "prepare", spec: ["source": ["url": url, "sha256": .string(String(repeating: "0", count: 64))]])
        #expect(wrong.exitCode == 65)
        #expect(wrong.message.contains("has the hash"))
        let missing = try fixture.run(kind: "prepare", spec: ["source": ["url": .string(server.url + "/none")]])
        #expect(missing.exitCode == 64)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.outputFolder) == ["dataset.jsonl"])
    }

    @Test func aStopDuringADownloadIsAskedToBeResumed() throws {
        let fixture = try WorkerFixture()
        let listener = try TCPListener()
        let process = try fixture.start(kind: "prepare", spec: ["source": ["url": .string("http://127.0.0.1:\(listener.port)/hang")]])
        // The connection shows that the worker is at work and that SIGTERM is watched.
        try listener.accept()
        kill(process.processIdentifier, SIGTERM)
        let ending = try fixture.finish(process)
        #expect(ending.exitCode == 75, "\(ending.output)")
        #expect(ending.reason == "interrupted")
    }

    private static let canMount: Bool = {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/tmp"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    @Test(.enabled(if: canMount, "needs the right to mount a small file system"))
    func aFullDiskIsNamedAsSuch() throws {
        let fixture = try WorkerFixture()
        let mount = "mount -t tmpfs -o size=64k tmpfs \(fixture.outputFolder) && exec \"$0\""
        let ending = try fixture.run(
            kind: "prepare", spec: ["source": ["generator": ["name": "times_ten", "count": 100_000]]],
            launcher: ["/usr/bin/env", "unshare", "--mount", "--map-root-user", "sh", "-c", mount])
        #expect(ending.exitCode == 1, "\(ending.output)")
        #expect(ending.reason == "disk_full")
    }

    @Test func withoutTheContractsEnvironmentTheWorkerSaysWhatIsMissing() throws {
        let fixture = try WorkerFixture()
        let ending = try fixture.run(kind: "prepare", spec: [:], environment: ["ANNEAL_SPEC": ""])
        #expect(ending.exitCode == 64)
        #expect(ending.output.contains("ANNEAL_SPEC"))
        let other = try fixture.run(kind: "train", spec: [:])
        #expect(other.exitCode == 64 && other.reason == "bad_config")
    }
}
