import Testing

@Suite struct EvaluationReportTests {
    @Test func theTableIsPrintedAsItCame() throws {
        let id = "eval_" + String(repeating: "0", count: 26)
        let script: Script = [
            "GET /v1/evaluations/\(id)/report?format=text": [Script.text("table\n")],
            "GET /v1/evaluations/\(id)/report?format=markdown": [Script.text("| table |\n")],
        ]
        try CLIFixture.with(script) { (fixture) throws in
            #expect(try fixture.run("evaluations", "report", id).output == "table\n")
            #expect(try fixture.run("evaluations", "report", id, "--format", "markdown").output == "| table |\n")
            #expect(try fixture.run("evaluations", "report", id, "--format", "pdf").status == 2)
        }
    }
}
