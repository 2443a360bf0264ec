import Testing

@testable import Telemetry

/// Numbers among what trainers print.
@Suite struct LogLineTests {
    /// Key, step and value of each point of `lines`.
    private func read(_ lines: String...) -> [String] {
        var reader = LogLineReader()
        return lines.flatMap { line in reader.read(Array(line.utf8)[...], receivedAt: 1).map { "\($0.key) \($0.step) \($0.value)" } }
    }

    @Test func trainersDictionaries() {
        #expect(
            read("{'loss': 1.733, 'grad_norm': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1}", "  {'loss': '1.5', 'epoch': '0.2'}") == [
                "loss 1 1.733", "grad_norm 1 0.5", "learning_rate 1 1e-05", "epoch 1 0.1", "loss 2 1.5", "epoch 2 0.2",
            ])
        #expect(read("{'eval_loss': nan, 'eval_runtime': 1.5}") == ["eval_loss 1 nan", "eval_runtime 1 1.5"])
        #expect(read("{'train/loss': inf}", "{'loss': -inf}") == ["train/loss 1 inf", "loss 2 -inf"])
    }

    @Test func theLastLineOfARunIsOfNoStep() {
        #expect(read("{'train_runtime': 12.5, 'train_samples_per_second': 3.1, 'epoch': 1.0}").isEmpty)
    }

    @Test func aProgressBarTellsTheStep() {
        #expect(
            read(" 45%|████▌     | 450/1000 [01:30<01:50,  5.0it/s, loss=1.73, lr=1e-5]", "{'loss': 1.7}") == [
                "loss 450 1.73", "lr 450 1e-05", "loss 450 1.7",
            ])
        #expect(read("Epoch 1:  10%|# | 1/10 [00:01<00:09]", "{'loss': 2}") == ["loss 1 2.0"])
    }

    @Test func listsUnderAHeadline() {
        #expect(
            read(
                "========================= Step 12/100 =========================", "• Loss: 0.0123", "• Avg Reward: 0.5310 (of 8)",
                "• Note: none")
                == ["loss 12 0.0123", "avg_reward 12 0.531"])
        #expect(read("• Loss: 0.5").isEmpty, "without a headline it may be anything")
    }

    @Test(arguments: [
        "loss is 1.7", "{'a': 'b'}", "{'loss'", "{\"level\": \"info\", \"msg\": \"loss 1\"}", "{}", "[1, 2]", "100%|", "45%|█| x/y [0]", "",
        "=== Step many ===", "{'loss': [1, 2]}",
    ])
    func otherLinesAreLeftAlone(line: String) {
        #expect(read(line).isEmpty)
    }

    @Test func aLineThatIsTooLongIsNotLookedAt() {
        func line(_ bytes: Int) -> String { "{'loss': 1}" + String(repeating: " ", count: bytes - 11) }
        #expect(read(line(TelemetryLimits.logLineBytesMax)).count == 1)
        #expect(read(line(TelemetryLimits.logLineBytesMax + 1)).isEmpty)
        var reader = LogLineReader()
        #expect(reader.read([0x7B, 0x27, 0xFF, 0x27, 0x3A, 0x31, 0x7D], receivedAt: 1).isEmpty, "no UTF-8")
    }

    @Test func ofALineWrittenOverTheLastStateStands() async throws {
        try await withFolder { folder in
            let file = GrowingFile(path: folder + "/stderr.log")
            func bar(_ step: Int) -> String { "\r 10%|# | \(step)/9999 [00:01<00:09, loss=\(step)]" }
            for (states, first) in [(TelemetryLimits.overwritesPerLineMax, 1), (TelemetryLimits.overwritesPerLineMax + 1, 2)] {
                try file.replace(with: (1...states).map(bar).joined() + "\n")
                var tail = LogTail(path: file.path)
                let found = try tail.readPoints(receivedAt: 1)
                #expect(found.points.first?.step == first && found.points.last?.step == states)
            }
        }
    }
}
