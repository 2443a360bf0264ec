import JSON
import Testing

@testable import Specification

/// Each limit at the limit, and one past it.
///
/// Those on documents, strings, nesting, jobs, needs, conditions and overrides stand with their readers' tests.
@Suite struct SpecLimitsTests {
    private let fixture = PlanFixture()

    private func problems(_ job: String) -> [String] { fixture.problems(PlanFixture.job(job)) }

    private func failure(_ text: String) -> SpecError? {
        switch SpecDocument.parse(Array(text.utf8)) {
        case .success: nil
        case .failure(let errors): errors.errors.first
        }
    }

    @Test func valuesAreCountedWithAliasesExpanded() {
        let thousand = Array(repeating: "0", count: 1000).joined(separator: ", ")
        /// The root, two lists and so many uses of a list of a thousand.
        func document(uses: Int, more: Int) -> String {
            let elements = Array(repeating: "*a", count: uses) + Array(repeating: "1", count: more)
            return "a: &a [\(thousand)]\nb: [\(elements.joined(separator: ", "))]\n"
        }
        let more = SpecLimits.valuesMax - 3 - 1000 - 997 * 1001
        #expect(failure(document(uses: 997, more: more)) == nil)
        #expect(failure(document(uses: 997, more: more + 1))?.code == .tooLarge)
    }

    @Test func valuesOfJSONAreCounted() {
        func document(_ count: Int) -> String { "{\"a\": [" + String(repeating: "0,", count: count - 1) + "0]}" }
        #expect(failure(document(SpecLimits.valuesMax - 2)) == nil)
        #expect(failure(document(SpecLimits.valuesMax - 1))?.code == .tooLarge)
    }

    @Test func descriptionsAreBounded() {
        let longest = String(repeating: "d", count: SpecLimits.descriptionBytesMax)
        #expect(problems(PlanFixture.command + "\ndescription: \(longest)") == [])
        expectProblem(problems(PlanFixture.command + "\ndescription: \(longest)d"), "/jobs/a/description too_large")
    }

    @Test func downloadsAreBounded() {
        func job(_ bytes: Int) -> String { "kind: prepare\nsource: {url: https://x/y, bytes_max: \(bytes)}" }
        #expect(problems(job(1)) == [] && problems(job(SpecLimits.downloadBytesMax)) == [])
        expectProblem(problems(job(0)), "/jobs/a/source/bytes_max")
        expectProblem(problems(job(SpecLimits.downloadBytesMax + 1)), "/jobs/a/source/bytes_max")
    }

    @Test func alertsAreBoundedAndEachIsRead() {
        func job(_ count: Int, _ rule: String = "loss > 3") -> String {
            PlanFixture.command + "\nalerts: [" + Array(repeating: "{when: \"\(rule)\"}", count: count).joined(separator: ", ") + "]"
        }
        #expect(problems(job(SpecLimits.alertsMax)) == [])
        expectProblem(problems(job(SpecLimits.alertsMax + 1)), "/jobs/a/alerts")
        expectProblem(problems(job(1, "loss is bad")), "/jobs/a/alerts/0/when")
    }

    @Test func keysAreBounded() {
        let longest = String(repeating: "k", count: SpecLimits.keyBytesMax)
        for format in ["{\"a\": [{\"KEY\": 1}]}", "a:\n- KEY: 1\n"] {
            #expect(failure(format.replacing("KEY", with: longest)) == nil)
            let error = failure(format.replacing("KEY", with: longest + "k"))
            #expect(error?.code == .tooLarge && error?.detail.contains("a key of more than") == true)
        }
    }

    @Test func aLongValueIsCutInTheSentenceOfItsError() {
        let kind = { (count: Int) in
            self.fixture.errors(PlanFixture.job("kind: \(String(repeating: "é", count: count))")).first?.detail ?? ""
        }
        let frame = kind(1).utf8.count - 2
        let fitting = (SpecLimits.detailBytesMax - frame) / 2
        #expect(!kind(fitting).contains("…"))
        let cut = kind(fitting + 1)
        #expect(cut.hasSuffix("…") && cut.utf8.count <= SpecLimits.detailBytesMax)
    }

    @Test func pathsAreBounded() {
        let longest = "./" + String(repeating: "x", count: SpecLimits.pathBytesMax - 2)
        expectProblem(problems("kind: prepare\nsource: {file: \(longest)}"), "/source/file missing_file", "no file")
        expectProblem(problems("kind: prepare\nsource: {file: \(longest)x}"), "/source/file too_large")
    }

    @Test func listsAreBounded() {
        func command(_ count: Int) -> String {
            "kind: command\ncommand: [" + Array(repeating: "x", count: count).joined(separator: ", ") + "]"
        }
        #expect(problems(command(SpecLimits.listCountMax)) == [])
        expectProblem(problems(command(SpecLimits.listCountMax + 1)), "/command too_large")
    }

    @Test func mappingsAreBounded() {
        func environment(_ count: Int) -> String { "\nenv: {" + (0..<count).map { "V\($0): x" }.joined(separator: ", ") + "}" }
        #expect(problems(PlanFixture.command + environment(SpecLimits.mapCountMax)) == [])
        expectProblem(problems(PlanFixture.command + environment(SpecLimits.mapCountMax + 1)), "/env too_large")
    }

    @Test func keysOfAMatrixAreBounded() {
        func matrix(_ count: Int) -> String { "\nmatrix: {" + (0..<count).map { "k\($0): [x]" }.joined(separator: ", ") + "}" }
        #expect(problems(PlanFixture.command + matrix(SpecLimits.matrixKeysMax)) == [])
        expectProblem(problems(PlanFixture.command + matrix(SpecLimits.matrixKeysMax + 1)), "/matrix too_large")
    }

    @Test func retriesAndTimesAreBounded() {
        func seconds(_ span: Duration) -> Int64 { span.components.seconds }
        let most = """

            retry: {limit: \(SpecLimits.retriesMax)}
            timeout: \(seconds(SpecLimits.timeoutMax))
            grace: \(seconds(SpecLimits.graceMax))
            """
        #expect(problems(PlanFixture.command + most) == [])
        expectProblem(problems(PlanFixture.command + "\nretry: \(SpecLimits.retriesMax + 1)"), "/retry out_of_range")
        expectProblem(problems(PlanFixture.command + "\ntimeout: \(seconds(SpecLimits.timeoutMax) + 1)"), "/timeout out_of_range")
        expectProblem(problems(PlanFixture.command + "\ngrace: \(seconds(SpecLimits.graceMax) + 1)"), "/grace out_of_range")
    }

    @Test func aMisspeltNameIsSearchedAmongSoManyJobsOnly() {
        func spec(_ count: Int) -> String {
            let jobs = (2..<count).map { "  job\($0): {kind: command, command: [x]}" }
            let last = ["  producer: {kind: command, command: [x]}", "  user: {kind: command, command: [x], needs: [prodcer]}"]
            return "name: x\njobs:\n" + (jobs + last).joined(separator: "\n")
        }
        expectProblem(fixture.problems(spec(SpecLimits.suggestionCandidatesMax)), "no job 'prodcer'", "did you mean 'producer'?")
        let many = fixture.problems(spec(SpecLimits.suggestionCandidatesMax + 1))
        #expect(many.count == 1 && many.first?.contains("did you mean") == false)
    }
}
