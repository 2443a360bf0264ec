import APITypes
import JSON
import Testing

@Suite struct WireShapeTests {
    @Test func anExperimentHasTheDocumentedMembersInOrder() throws {
        let view = ExperimentView(
            id: "exp_1", name: "toy", project: "default", state: "running", tags: ["b": "1", "a": "2"],
            createdAt: "2026-11-20T08:15:30.250Z",
            jobs: [JobSummary(id: "job_1", name: "sft", kind: "train", state: "running", progress: ProgressView(done: 3, total: 10))])
        #expect(
            try JSONValue(encoding: view).text()
                == #"{"id":"exp_1","name":"toy","project":"default","state":"running","reason":null,"message":null,"description":null,"#
                + #""tags":{"b":"1","a":"2"},"created_at":"2026-11-20T08:15:30.250Z","finished_at":null,"#
                + #""jobs":[{"id":"job_1","name":"sft","kind":"train","group":null,"state":"running","reason":null,"#
                + #""progress":{"done":3.0,"total":10.0,"rate_per_second":null,"seconds_left":null}}]}"#)
        #expect(try ExperimentView(decoding: JSONValue(encoding: view)) == view)
    }

    @Test func aMissingMemberOfANullableIsReadAsNull() throws {
        let attempt = try AttemptView(decoding: [
            "id": "att_1", "number": 1, "state": "running", "gpus": [], "gpu_share": 0, "evidence": [],
        ])
        #expect(attempt == AttemptView(id: "att_1", number: 1, state: "running", gpus: []))
    }

    @Test func metricValuesTravelAsNumbersOrTheirThreeTexts() throws {
        let values: [MetricValue] = [1.5, MetricValue(.nan), MetricValue(.infinity), MetricValue(-.infinity)]
        let json = try JSONValue(encoding: values)
        #expect(json.text() == #"[1.5,"NaN","Infinity","-Infinity"]"#)
        #expect(try [MetricValue](decoding: json) == values)
        let error = #expect(throws: JSONDecodingError.self) { try MetricValue(decoding: "nan") }
        #expect(error?.message == #"expected a number, "NaN", "Infinity" or "-Infinity""#)
    }

    @Test func aPageCarriesItsCursor() throws {
        let page = Page(
            data: [DatasetView(id: "ds_1", name: "d", version: 1, sha256: "00", rows: 1, bytes: 2, format: "messages", createdAt: "t")],
            hasMore: true, next: "ds_1")
        let json = try JSONValue(encoding: page)
        #expect(json["has_more"] == true && json["next"] == "ds_1" && json["data"]?[0]?["produced_by"] == .null)
        #expect(try Page<DatasetView>(decoding: json) == page)
    }

    @Test func aProblemWithLinesIsReadBack() throws {
        let problem = ProblemView(
            type: "/problems/invalid_spec", title: "The spec is not valid", status: 422, detail: "1 error", code: "invalid_spec",
            errors: [ProblemError(pointer: "/jobs/a/knd", detail: "unknown key", line: 4, column: 5)])
        #expect(try ProblemView(decoding: JSONParser.parse(JSONValue(encoding: problem).text())) == problem)
    }

    @Test func aStreamEventKeepsItsDataUntouched() throws {
        let data: JSONValue = ["job_id": "job_1", "attempt": 1, "points": [["key": "train/loss", "step": 1, "time": 2.5, "value": "NaN"]]]
        let event = StreamEvent(seq: 9, type: "metric", at: "t", jobID: "job_1", data: data)
        let read = try StreamEvent(decoding: JSONValue(encoding: event))
        #expect(read == event)
        #expect(try MetricEventData(decoding: read.data).points[0].value == MetricValue(.nan))
    }
}
