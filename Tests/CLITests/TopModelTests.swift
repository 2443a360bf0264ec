import APITypes
import Domain
import Terminal
import Testing

@testable import anneal

@Suite struct TopModelTests {
    private func snapshot(active: [JobView] = [], queue: [QueueEntryView] = [], failed: [JobView] = []) -> TopSnapshot {
        TopSnapshot(
            gpus: TopSample.gpus(), active: active, queue: queue, queueHasMore: false, failed: failed, losses: [:],
            takenAt: Timestamp(milliseconds: 0))
    }

    private var busy: TopModel {
        TopModel(snapshot(active: [TopSample.running()], queue: (2...9).map { TopSample.queued($0, "job\($0)") }))
    }

    private func lines(_ model: TopModel, _ columns: Int, _ rows: Int, seconds: Int64 = 0) -> [String] {
        TopScreen(model: model, address: "http://x", now: Timestamp(milliseconds: seconds * 1000)).lines(columns: columns, rows: rows)
            .map { $0.text(coloured: false) }
    }

    @Test func theSelectionFollowsItsJobAndElseItsPlace() {
        var model = busy
        #expect(model.selected?.name == "toy/sft")
        for key in [Key.down, .character("j"), .up] { _ = model.press(key) }
        #expect(model.selected?.name == "toy/job2")
        model.update(snapshot(queue: [TopSample.queued(5, "job5"), TopSample.queued(2, "job2")]))
        #expect(model.selected?.name == "toy/job2")
        model.update(snapshot(queue: [TopSample.queued(5, "job5")]))
        #expect(model.selected?.name == "toy/job5")
        model.update(snapshot())
        #expect(model.selected == nil)
        #expect(model.press(.enter) == nil && model.press(.character("p")) == nil && model.press(.character("c")) == nil)
        #expect(model.press(.down) == nil && model.mode == .list)
        _ = model.press(.pageUp)
        model.update(snapshot(queue: [TopSample.queued(7, "job7")]))
        #expect(model.selected?.name == "toy/job7")
    }

    @Test func theSelectionStaysWithinTheRows() {
        var model = busy
        _ = model.press(.end)
        #expect(model.selected?.name == "toy/job9")
        _ = model.press(.pageDown)
        #expect(model.selected?.name == "toy/job9")
        _ = model.press(.home)
        _ = model.press(.up)
        #expect(model.selected?.name == "toy/sft")
    }

    @Test func cancellingIsAskedForAndMeansTheJobThatWasSelectedThen() {
        var model = busy
        _ = model.press(.character("c"))
        model.update(snapshot(queue: [TopSample.queued(5, "job5")]))
        #expect(lines(model, 80, 24).last == "cancel toy/sft? y/n")
        let wanted = TopAction(verb: .cancel, jobID: Sample.jobID(1), name: "toy/sft")
        #expect(model.press(.character("y")) == .perform(wanted))
        #expect(model.mode == .list)
        _ = model.press(.character("c"))
        #expect(model.press(.enter) == nil && model.mode == .list)
    }

    @Test func aPausedJobIsResumedAndOthersArePaused() {
        var paused = TopSample.running()
        paused.state = "paused"
        var model = TopModel(snapshot(active: [paused]))
        #expect(model.press(.character("p")) == .perform(TopAction(verb: .resume, jobID: paused.id, name: "toy/sft")))
        model = busy
        #expect(model.press(.character("p")) == .perform(TopAction(verb: .pause, jobID: paused.id, name: "toy/sft")))
    }

    @Test func prioritiesAddUpAndStayInTheirRange() {
        var model = busy
        func priority(_ key: Character) -> Int? {
            guard case .perform(let action) = model.press(.character(key)) else { return nil }
            return action.priority
        }
        #expect([priority("+"), priority("="), priority("-")] == [55, 60, 55])
        for _ in 0..<20 { _ = priority("+") }
        #expect(priority("+") == 100)
        for _ in 0..<40 { _ = priority("_") }
        #expect(priority("-") == 0)
    }

    @Test func aFilterNarrowsEverySectionAndEscapeEndsIt() {
        var model = busy
        for key in [Key.character("/"), .character("J"), .character("O"), .character("B"), .character("3"), .character("q"), .backspace] {
            #expect(model.press(key) == nil)
        }
        #expect(model.filter == "JOB3" && model.rows.map(\.name) == ["toy/job3"])
        #expect(lines(model, 80, 24).last?.hasPrefix("filter: JOB3") == true)
        _ = model.press(.enter)
        #expect(model.mode == .list && model.filter == "JOB3")
        _ = model.press(.escape)
        #expect(model.filter.isEmpty && model.rows.count == 9)
    }

    @Test(arguments: [(80, 24), (200, 60), (40, 10), (20, 4), (80, 3), (10, 1)])
    func theScreenHasTheSizeOfTheTerminal(columns: Int, rows: Int) {
        let failed = (1...9).map {
            Sample.job($0, "f\($0)", state: "failed", reason: "cuda_oom", message: String(repeating: "日本 ", count: 90))
        }
        var model = TopModel(snapshot(active: [TopSample.running()], queue: (1...9).map { TopSample.queued($0, "q\($0)") }, failed: failed))
        for key in [Key.up, .character("?"), .escape, .enter, .escape, .character("c"), .character("n"), .character("/")] {
            _ = model.press(key)
            #expect(lines(model, columns, rows).count <= max(1, rows))
        }
        _ = model.press(.escape)
        _ = model.press(.end)
        let shown = lines(model, columns, rows)
        if rows >= 24 { #expect(shown.contains { $0.contains("▸") }) }
        #expect(shown.filter { $0.contains("▸") }.allSatisfy { $0.displayWidth <= columns })
    }

    @Test func aCutSectionShowsTheSelectedRowAndCountsTheOthers() {
        var model = busy
        for _ in 0..<6 { _ = model.press(.down) }
        let shown = lines(model, 80, 13)
        #expect(shown.contains { $0.hasPrefix("▸") && $0.contains("toy/job7") })
        #expect(shown.contains { $0.contains("… ") && $0.hasSuffix(" more") })
    }

    @Test func aSilentAndALostDaemonAreTold() {
        var model = busy
        #expect(lines(model, 100, 24, seconds: 7)[0].hasSuffix("no answer for 7 s"))
        model.lose(at: Timestamp(milliseconds: 2000))
        model.lose(at: Timestamp(milliseconds: 4000))
        #expect(lines(model, 100, 24, seconds: 5)[0].hasSuffix("connection lost, retrying (3 s)"))
        model.update(snapshot())
        #expect(model.lostSince == nil && lines(model, 100, 24).last == "the daemon answers again")
    }
}
