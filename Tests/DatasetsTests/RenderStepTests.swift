import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct RenderStepTests {
    private func fill(_ template: String, _ record: JSONValue) throws -> String {
        try RecordTemplate(template).filled(PreparedRecord(value: record, line: 3))
    }

    @Test func fieldsAreFilledInAsInPython() throws {
        let record: JSONValue = ["problem": "1+1", "n": 1.5, "ok": true, "meta": ["a": "x", "tags": ["t0", "t1"]]]
        #expect(try fill("Q: {problem} \\boxed{{}} {n} {ok}", record) == "Q: 1+1 \\boxed{} 1.5 True")
        #expect(try fill("{meta.a} {meta[tags][1]} }}{{", record) == "x t1 }{")
        #expect(try fill("", record) == "" && fill("no field", record) == "no field")
    }

    @Test(arguments: ["{", "a {b", "}", "a } b", "{}", "{a!r}", "{a:>5}", "{a{b}}"])
    func faultyTemplatesAreRefusedWithTheirPlace(text: String) {
        #expect(throws: RecordTemplate.SyntaxError.self) { try RecordTemplate(text) }
    }

    @Test func unknownFieldsAreNamedWithTheRecordsOwn() throws {
        let error = try #require(throws: DatasetError.self) { try fill("{proble}", ["problem": "x", "answer": "y"]) }
        #expect(error.message == "line 3: the template's field 'proble' is missing; the record has problem, answer")
        #expect(throws: DatasetError.self) { try fill("{a}", ["a": [1]]) }
    }

    @Test func messagesKeepTheAnswerAndWhatIsAskedFor() throws {
        var rendering = PromptRendering(user: try RecordTemplate("Solve: {problem}"))
        rendering.system = try RecordTemplate("Level {level}")
        rendering.metadata = ["source": "toy"]
        let record: JSONValue = ["problem": "1+1", "generation": "2", "level": 3, "expected_answer": 2]
        let run = try StepRun([record], .render(rendering))
        #expect(run.result.outputs.first?.format == .messages)
        #expect(
            run.records == [
                [
                    "expected_answer": "2",
                    "messages": [
                        ["role": "system", "content": "Level 3"], ["role": "user", "content": "Solve: 1+1"],
                        ["role": "assistant", "content": "2"],
                    ], "source": "toy",
                ]
            ])
        rendering.target = .prompt
        rendering.kept = nil
        rendering.system = nil
        #expect(
            try StepRun([record], .render(rendering)).records == [
                [
                    "expected_answer": "2", "prompt": [["role": "user", "content": "Solve: 1+1"]], "problem": "1+1", "level": 3,
                    "source": "toy",
                ]
            ])
    }

    @Test func textsGetTheMarksOfTheTurnsAndWorkedExamples() throws {
        var rendering = PromptRendering(user: try RecordTemplate("{examples}{problem}"))
        rendering.target = .inputOutput
        rendering.marks = .qwenInstruct
        rendering.system = try RecordTemplate("Be brief.")
        var examples = PromptRendering.Examples(
            template: try RecordTemplate("{q}={a};"), records: [["q": "1+1", "a": 2], ["q": "2+2", "a": 4]])
        (examples.prefix, examples.suffix) = ("Like ", " now ")
        rendering.examples = examples
        let run = try StepRun([generation("3+3", "6")], .render(rendering))
        #expect(
            run.texts("input") == [
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nLike 1+1=2;2+2=4; now 3+3<|im_end|>\n<|im_start|>assistant\n"
            ])
        #expect(run.texts("output") == ["6<|im_end|>"] && run.result.outputs.first?.format == .inputOutput)
        rendering.examples?.records = [["q": "1"]]
        let error = try #require(throws: DatasetError.self) { try StepRun([generation("3+3", "6")], .render(rendering)) }
        #expect(error.message.hasPrefix("few-shot example 1: the template's field 'a' is missing"))
    }

    @Test func problemsAreExtractedAndTheOthersPutAside() throws {
        let records: [JSONValue] = [
            ["id": 1, "generation": "Here you are.\nProblem 1: What is 1+1?\n\nProblem  2 :\nWhat is 2+2?\n"],
            ["id": 2, "generation": "No problems identified."], ["id": 3, "generation": "Problem 1: Only one"],
            ["id": 4, "generation": "Just a text"],
        ]
        let run = try StepRun(records, .extractProblems(ProblemExtraction()))
        #expect(run.texts("problem") == ["What is 1+1?", "What is 2+2?", "Only one", "Just a text"])
        #expect(run.records.map { $0["extracted_problem_idx"] } == [0, 1, 0, 0] && run.records.map { $0["id"] } == [1, 1, 3, 4])
        #expect(run.records[1]["problem_extraction_gen"] == records[0]["generation"] && run.records[1]["generation"] == nil)
        #expect(try run.folder.lines("dropped-1.jsonl").map { try JSONParser.parse($0) } == [records[1]])
        #expect(run.dropped(1) == ["no_problems": 1] && run.result.files.count == 1)
        let kept = try StepRun(records, .extractProblems(ProblemExtraction(keepsPreamble: true)))
        #expect(kept.texts("problem").first == "Here you are.")
        #expect(try StepRun([records[2]], .extractProblems(ProblemExtraction())).result.files.map(\.file.rows) == [0])
    }

    @Test func theSystemTurnTellsWhetherTheAnswerThinks() throws {
        let answers = ["<think>\nhm\n</think>\n\n4", "<think></think>\n\n4", "4", "thinking</think>4", "<think>cut"]
        let records = answers.map { answer -> JSONValue in
            ["messages": [["role": "user", "content": "2+2?"], ["role": "assistant", "content": .string(answer)]]]
        }
        let run = try StepRun(records, format: nil, .reasoningToggle(ReasoningToggle()))
        #expect(
            run.records.map { $0["messages"]?[0]?["content"]?.string } == [
                "detailed thinking on", "detailed thinking off", "detailed thinking off", "detailed thinking on",
            ])
        #expect(run.records.map { $0["messages"]?[2]?["content"]?.string } == [answers[0], "4", "4", answers[3]])
        #expect(run.dropped(1) == ["unclosed_thinking": 1] && run.result.outputs.first?.format == .messages)
        var toggle = ReasoningToggle()
        toggle.offShare = 1
        #expect(
            try StepRun([records[0]], format: nil, .reasoningToggle(toggle)).records.map { $0["messages"]?[2]?["content"] } == [
                .string(answers[0]), "4",
            ])
        toggle = ReasoningToggle()
        toggle.onlyPairs = true
        let pairs = try StepRun(records, format: nil, .reasoningToggle(toggle))
        #expect(pairs.records.count == 2 && pairs.dropped(1) == ["unclosed_thinking": 1, "further_answer": 2])
    }

    @Test func anotherSystemTextStaysAndAContradictionGoes() throws {
        func record(_ system: String, _ answer: String) -> JSONValue {
            [
                "messages": [
                    ["role": "system", "content": .string(system)], ["role": "user", "content": "q"],
                    ["role": "assistant", "content": .string(answer)],
                ]
            ]
        }
        let run = try StepRun(
            [record("Be kind.", "a"), record("detailed thinking on", "a"), record("detailed thinking off\n\nBe kind.", "a")], format: nil,
            .reasoningToggle(ReasoningToggle()))
        #expect(
            run.records.map { $0["messages"]?[0]?["content"] } == [
                "detailed thinking off\n\nBe kind.", "detailed thinking off\n\nBe kind.",
            ])
        #expect(run.dropped(1) == ["contradicts_system": 1])
    }

    @Test func conversationsBecomeMessages() throws {
        let record: JSONValue = [
            "id": "1", "conversations": [["from": "human", "value": "<image>\nWhat?"], ["from": "gpt", "value": "A cat."]],
        ]
        let run = try StepRun([record], .toMessages(system: nil))
        #expect(run.records[0]["messages"]?[1] == ["role": "assistant", "content": "A cat."] && run.records[0]["id"] == "1")
        let error = try #require(throws: DatasetError.self) { try StepRun([["conversations": [["from": "x"]]]], .toMessages(system: nil)) }
        #expect(error.issues.first?.pointer == "/conversations/0")
    }
}
