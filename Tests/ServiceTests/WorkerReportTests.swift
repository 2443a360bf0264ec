import Testing

@testable import Service

@Suite struct WorkerReportTests {
    @Test func outputsKeepTheirOrderAndFields() throws {
        let text = """
            {"outputs": {"b": {"type": "dataset", "path": "/d", "rows": 3}, "a": {"type": "file", "path": "/f"}}, "summary": {"x": 1}}
            """
        let report = try WorkerReport.parse(Array(text.utf8))
        #expect(report.outputs.map(\.name) == ["b", "a"])
        #expect(report.outputs[0].fields["rows"] == 3 && report.summary == ["x": 1])
    }

    @Test(arguments: [
        "[]", "nonsense", #"{"outputs": {"a": {"type": "what", "path": "/x"}}}"#, #"{"outputs": {"a": {"type": "file", "path": "x"}}}"#,
        #"{"outputs": {"a": 3}}"#,
    ])
    func aFaultIsToldInWords(text: String) {
        #expect(throws: ServiceError.self) { try WorkerReport.parse(Array(text.utf8)) }
    }

    @Test func anEmptyObjectReportsNothing() throws {
        let report = try WorkerReport.parse(Array("{}".utf8))
        #expect(report.outputs.isEmpty && report.gate?["passed"]?.bool == nil && report.failure == nil)
    }
}

@Suite struct GateMessageTests {
    @Test func aMissedGateNamesTheMetric() throws {
        let text = """
            {"gate": {"passed": false, "checks": [{"metric": "accuracy", "condition": ">= 0.9", "value": 0.5, "passed": false}]}}
            """
        #expect(try WorkerReport.parse(Array(text.utf8)).gateMessage == "the gate was missed: accuracy is 0.5, asked for >= 0.9")
        #expect(try WorkerReport.parse(Array(#"{"gate": {"passed": true}}"#.utf8)).gateMessage == nil)
    }
}
