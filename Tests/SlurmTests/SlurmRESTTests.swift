import JSON
import Testing

@testable import Slurm

/// What is said to slurmrestd and what it says, in the shapes of its OpenAPI plugin v0.0.38.
@Suite struct SlurmRESTTests {
    @Test func optionsOfSbatchBecomeProperties() throws {
        let options = [
            "--job-name=anneal-att_1", "--comment=a=b", "--output=/d/batch.log", "--open-mode=append", "--no-requeue", "--chdir=/",
            "--nice=500",
            "--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=2", "--signal=B:USR1@120", "--gpus-per-node=h100:4", "--mem=101M",
            "--time=30", "--exclusive", "--hold", "--qos=long", "--array=0-3",
        ]
        let properties = try SlurmREST.properties(of: options, environment: ["PATH": "/bin"])
        let expected: JSONValue = [
            "environment": ["PATH": "/bin"], "name": "anneal-att_1", "comment": "a=b", "standard_output": "/d/batch.log",
            "open_mode": "append", "requeue": false, "current_working_directory": "/", "nice": 500, "nodes": 1, "tasks_per_node": 1,
            "cpus_per_task": 2, "gpus_per_node": "h100:4", "memory_per_node": "101M", "time_limit": 30, "exclusive": "exclusive",
            "hold": true, "qos": "long", "array": "0-3",
        ]
        for (name, value) in expected.object ?? [:] { #expect(properties[name] == value, "\(name)") }
        #expect(properties.count == expected.object?.count)
    }

    @Test func anOptionWithoutANameIsRefused() {
        #expect(throws: SlurmError.self) { try SlurmREST.properties(of: ["-p", "gpu"], environment: .null) }
    }

    @Test func aJobOfTheListIsRead() throws {
        let document = try JSONParser.parse(
            #"{"job_id": 7, "job_state": "PENDING", "name": "anneal-att_1", "start_time": 0, "nodes": "", "state_reason": "Priority"}"#)
        let job = try #require(SlurmREST.job(document))
        #expect(job.id == "7" && job.name == "anneal-att_1" && job.state.isWait && job.startsAt == nil && job.reason == "Priority")
        #expect(SlurmREST.job(["job_state": "PENDING"]) == nil)
    }
}
