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
        #expect(report.outputs.isEmpty && report.gatePassed == nil && report.failure == nil)
    }
}
