import Domain
import Testing

@testable import Slurm

/// What Slurm's programs print, as they printed it.
@Suite struct SlurmAnswerTests {
    @Test func aLineOfTheQueueIsRead() throws {
        let job = try #require(SlurmJob(line: "17|PENDING|anneal-att_1|1790000000|(null)|ReqNodeNotAvail, UnavailableNodes:n1|x"))
        #expect(job.id == "17" && job.name == "anneal-att_1" && job.startsAt == 1_790_000_000 && job.nodes.isEmpty)
        #expect(job.reason == "ReqNodeNotAvail, UnavailableNodes:n1|x" && job.state.isWait && !job.state.isEnd)
        let ended = try #require(SlurmJob(line: "18|CANCELLED by 0|anneal-att_2|N/A|n[1-2]|None"))
        #expect(ended.state.word == "CANCELLED" && ended.state.isEnd && ended.startsAt == nil && ended.nodes == "n[1-2]")
    }

    @Test(
        arguments: [
            ("CANCELLED", "n1", true), ("CANCELLED by 0", "n1", true), ("CANCELLED by 1000", "n1", false), ("CANCELLED", "(null)", false),
            ("CANCELLED by 0", "None assigned", false), ("COMPLETED", "n1", false), ("TIMEOUT", "n1", false),
        ])
    func aJobThatANodeCouldNotLaunchIsToldFromOneThatSomebodyCancelled(_ state: String, _ nodes: String, _ isLaunch: Bool) throws {
        let job = try #require(SlurmJob(line: "18|\(state)|anneal-att_2|N/A|\(nodes)|None"))
        #expect(job.mayHaveFailedToLaunch == isLaunch)
    }

    @Test(arguments: [("NonZeroExitCode", false), ("JobLaunchFailure", true), ("RaisedSignal:9(Killed)", true), ("NodeDown", true)])
    func aScriptThatFailedIsToldFromOneThatWasKilled(_ reason: String, _ isOfNode: Bool) throws {
        let job = try #require(SlurmJob(line: "18|FAILED|anneal-att_2|N/A|n1|\(reason)"))
        #expect(job.isOfNode == isOfNode)
    }

    @Test func aTaskOfAnArrayIsAJobOfItsOwn() throws {
        let job = try #require(SlurmJob(line: "17_3|RUNNING|anneal-att_1-array|1790000000|n1|None"))
        #expect(job.id == "17_3" && job.number == 17 && job.key == SlurmJob.key(name: "anneal-att_1-array", task: 3))
        let other = try #require(SlurmJob(line: "17|RUNNING|anneal-att_1|1790000000|n1|None"))
        #expect(other.key == "anneal-att_1" && other.key != job.key)
    }

    @Test(arguments: ["", "x", "1_2_3|PENDING|a|b|c|d", "_3|PENDING|a|b|c|d", "12_[1-3]|PENDING|a|b|c|d", "12|PENDING|a", "|||||"])
    func whatIsNoJobIsNone(_ line: String) {
        #expect(SlurmJob(line: line[...]) == nil)
    }

    @Test(
        arguments: [
            ("sbatch: error: Batch job submission failed: Invalid partition name specified\n", SlurmError.Kind.refused),
            ("sbatch: error: Batch job submission failed: Requested node configuration is not available\n", .refused),
            ("sbatch: error: Invalid --time specification\n", .refused),
            ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n", .unknown),
            ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n", .unknown),
            ("sbatch: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\"\n", .unknown),
            ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", .unknown),
            (
                "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
                .busy
            ),
            ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n", .busy),
            ("Slurm accounting storage is disabled\n", .noAccounting), ("", .unknown),
        ])
    func aComplaintTellsWhatFollows(_ text: String, _ kind: SlurmError.Kind) {
        #expect(SlurmError.of(complaint: text).kind == kind)
    }

    @Test func aComplaintIsToldWithoutTheProgramsName() {
        let error = SlurmError.of(
            complaint: "sbatch: error: invalid partition specified: x\nsbatch: error: Invalid partition name specified\n")
        #expect(error.message == "invalid partition specified: x; Invalid partition name specified")
    }

    @Test func reasonsAreTold() {
        #expect(SlurmWords.reason("Resources") == "no nodes with what it asks for are free at present")
        #expect(SlurmWords.reason("ReqNodeNotAvail, UnavailableNodes:n7") == "a node that it needs is down, drained or reserved")
        #expect(SlurmWords.reason("QOSMaxJobsPerUserLimit") == "a limit of the quality of service is reached")
        #expect(SlurmWords.reason("Moonphase") == "Slurm gives the reason 'Moonphase'")
    }

    @Test(
        arguments: [
            ("CANCELLED", "cluster_cancelled"), ("TIMEOUT", "allocation_ends"), ("PREEMPTED", "allocation_ends"),
            ("PENDING", "allocation_ends"), ("NODE_FAIL", "allocation_ends"), ("FAILED", nil), ("COMPLETED", nil), ("RUNNING", nil),
        ] as [(String, String?)])
    func whoEndedAWorkerIsToldByTheStateOfItsJob(_ state: String, _ reason: String?) {
        #expect(ClusterEnd.stopReason(of: SlurmState(state)) == reason)
    }
}
