import JSON
import Testing

@testable import Evaluation

@Suite struct EvaluationReportTests {
    /// A benchmark of which so many samples are right, item by item.
    private static func benchmark(
        _ name: String, right: [Int], samples: Int, grader: Grader = .math, definition: MetricDefinition = .firstK, tasks: [String] = []
    ) throws -> EvaluationDocument.Benchmark {
        let items = right.map { count in
            (0..<samples).map { GradedSample(answer: $0 < count ? "1" : nil, score: $0 < count ? 1 : 0, tokens: 829) }
        }
        let metrics = try #require(BenchmarkMetrics(items: items, definition: definition))
        return .init(
            name: name, dataset: .init(id: nil, sha256: "s", path: "/d"), samples: samples, grader: grader, definition: definition,
            settings: [:], metrics: metrics.all() + [(name: "gen_seconds", metric: MetricValue(value: 12.7))], byK: metrics.byK,
            runs: metrics.runs,
            tasks: Set(tasks).sorted().map { task in
                .init(name: task, items: tasks.count { $0 == task }, metrics: metrics.subset { tasks[$0] == task }?.all() ?? [])
            }, itemTasks: tasks, itemScores: metrics.itemScores, itemsPath: "items.jsonl")
    }

    private static func report(_ benchmarks: [EvaluationDocument.Benchmark], showsDeviation: Bool = false) -> EvaluationReport {
        EvaluationReport(EvaluationDocument(model: "m", server: .null, benchmarks: benchmarks), showsDeviation: showsDeviation)
    }

    // The text was made with Python's str.center and str.ljust, as NeMo-Skills makes it.
    @Test func theTableIsPrintedAsNeMoSkillsPrintsIt() throws {
        let text = Self.report([try Self.benchmark("aime24", right: [8, 1, 0], samples: 8)]).text
        #expect(
            text == """
                ---------------------------------------- aime24 ---------------------------------------
                evaluation_mode | num_entries | avg_tokens | gen_seconds | symbolic_correct | no_answer
                pass@1[8]       | 3           | 829        | 12          | 37.50%           | 62.50%   \("")
                majority@8      | 3           | 829        | 12          | 66.67%           | 33.33%   \("")
                pass@8          | 3           | 829        | 12          | 66.67%           | 33.33%   \("")



                """)
    }

    @Test func labelsFollowTheDefinition() throws {
        let new = Self.report([try Self.benchmark("b", right: [1, 0], samples: 2, definition: .unbiased)])
        #expect(new.sections[0].modes.map(\.name) == ["pass@1[avg-of-2]", "majority@2", "pass@2"])
        #expect(new.sections[0].allModes.map(\.name) == ["pass@1", "pass@1[avg-of-2]", "majority@2", "pass@2"])
        #expect(Self.report([try Self.benchmark("b", right: [1], samples: 1)]).sections[0].modes.map(\.name) == ["greedy"])
        let judged = Self.report([try Self.benchmark("b", right: [1], samples: 1, grader: .judge, definition: .unbiased)])
        #expect(judged.sections[0].modes[0].name == "pass@1" && judged.sections[0].modes[0].value("judge_correct") == .percent(100))
    }

    @Test func theDeviationAcrossRunsCanBeShown() throws {
        let text = Self.report([try Self.benchmark("b", right: [2, 1, 0, 1], samples: 2)], showsDeviation: true).text
        #expect(text.contains("50.00% ± 35.36%") && !text.contains("75.00% ±"))
    }

    @Test func numbersAreWrittenForOtherPrograms() throws {
        let report = Self.report([try Self.benchmark("a,\"b", right: [2, 1], samples: 2), try Self.benchmark("c", right: [1], samples: 1)])
        #expect(
            report.csv.split(separator: "\r\n") == [
                "benchmark,evaluation_mode,num_entries,avg_tokens,gen_seconds,symbolic_correct,no_answer",
                "\"a,\"\"b\",pass@1[2],2,829,12,75.0000,25.0000", "\"a,\"\"b\",majority@2,2,829,12,100.0000,0.0000",
                "\"a,\"\"b\",pass@2,2,829,12,100.0000,0.0000", "c,greedy,1,829,12,100.0000,0.0000",
            ])
        #expect(report.json["c"]?["greedy"]?["symbolic_correct"] == 100.0 && report.json["a,\"b"]?["pass@1"]?["num_entries"] == 2)
        #expect(report.markdown.hasPrefix("### a,\"b\n\n| evaluation_mode | num_entries |"))
        #expect(report.markdown.contains("\n| --- | ---: | ---: | ---: | ---: | ---: |\n| pass@1[2] | 2 | 829 | 12 | 75.00% | 25.00% |\n"))
    }

    @Test func tasksGetTablesOfTheirOwn() throws {
        let report = Self.report([try Self.benchmark("b", right: [2, 0, 1], samples: 2, tasks: ["x", "y", "x"])])
        #expect(report.sections.map(\.name) == ["b", "b/x", "b/y"])
        #expect(report.sections[1].modes[0].value("num_entries") == .count(2))
        #expect(report.sections[1].modes[0].value("symbolic_correct") == .percent(75))
    }

    @Test func benchmarksOfAGroupAreAveraged() throws {
        let members = [try Self.benchmark("g.a", right: [2, 0], samples: 2), try Self.benchmark("g.b", right: [2, 2], samples: 2)]
        let group = try #require(Self.report(members).sections.last)
        #expect(group.name == "g" && group.modes[0].value("num_benchmarks_in_group") == .count(2))
        #expect(group.modes[0].value("symbolic_correct") == .percent(75) && group.modes[0].value("avg_tokens") == .count(829))
        let uneven = Self.report(members + [try Self.benchmark("g.c", right: [1], samples: 1)])
        #expect(uneven.sections.count == 3 && uneven.notes.count == 1)
    }

    @Test func aDocumentKeepsAllThatATableNeeds() throws {
        let benchmark = try Self.benchmark("b", right: [2, 0, 1], samples: 3, definition: .unbiased, tasks: ["x", "y", "x"])
        let document = EvaluationDocument(model: "m", server: .null, benchmarks: [benchmark])
        let read = try EvaluationDocument(json: try JSONParser.parse(document.json.text()))
        #expect(read.json == document.json)
        #expect(EvaluationReport(read, showsDeviation: true) == EvaluationReport(document, showsDeviation: true))
        #expect(read.benchmarks[0].runs == benchmark.runs && read.benchmarks[0].metric("accuracy")?.interval != nil)
    }

    @Test(arguments: [(0.125, "0.12"), (0.375, "0.38"), (2.675, "2.67"), (100, "100.00"), (1e22, "10000000000000000000000.00")])
    func decimalsAreRoundedAsPythonRoundsThem(value: Double, text: String) {
        #expect(DecimalText.fixed(value, decimals: 2) == text)
    }
}
