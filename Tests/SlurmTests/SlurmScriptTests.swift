import Domain
import Testing

@testable import Slurm

@Suite struct SlurmScriptTests {
    private static func script(
        _ terms: ClusterTerms = ClusterTerms(name: "hpc"), _ resources: ResourceRequest = ResourceRequest(), timeLimit: Duration? = nil,
        priority: Int = 50, directory: String = "/data/att_1", shim: String = "/opt/anneal-shim", asksForEnd: Bool = false
    ) -> SlurmScript {
        var order = SlurmOrder(
            attemptID: "att_1", jobID: "job_1", priority: priority, resources: resources, timeLimit: timeLimit, grace: .seconds(30),
            isHeld: false)
        order.asksForEnd = asksForEnd
        return SlurmScript(terms: terms, order: order, directory: directory, shimPath: shim)
    }

    @Test(
        arguments: [
            ("plain", "'plain'"), ("", "''"), ("it's", #"'it'\''s'"#), ("$(rm -rf /) `x` \\ \" \n", "'$(rm -rf /) `x` \\ \" \n'"),
        ])
    func anyTextIsOneWordOfAShell(_ text: String, _ quoted: String) {
        #expect(SlurmScript.quoted(text) == quoted)
    }

    @Test func theScriptBecomesTheShimAfterTheSetup() {
        var terms = ClusterTerms(name: "hpc")
        terms.environment = ["B": "it's", "A": "1"]
        terms.setup = ["module load cuda"]
        let lines = Self.script(terms, directory: "/a b/att_1", shim: "/opt/s'him").text.split(separator: "\n").map(String.init)
        #expect(lines.first == "#!/bin/bash")
        #expect(
            lines.suffix(5) == [
                "trap '' USR1 TERM", "export A='1'", #"export B='it'\''s'"#, "module load cuda",
                #"exec '/opt/s'\''him' '/a b/att_1' --batch"#,
            ])
    }

    @Test func aLineBreakInAnArgumentDoesNotLeaveTheComment() {
        var terms = ClusterTerms(name: "hpc")
        terms.arguments = ["--comment=a\nrm -rf /"]
        let lines = Self.script(terms).text.split(separator: "\n")
        #expect(!lines.contains { $0.hasPrefix("rm") })
    }

    @Test func resourcesBecomeOptions() {
        var request = ResourceRequest(gpus: 4, cpus: 16, memoryBytes: 100 << 20 | 1)
        request.nodes = 2
        request.isExclusive = true
        request.gpuModel = "H100"
        var terms = ClusterTerms(name: "hpc")
        (terms.partition, terms.account, terms.qos, terms.constraint) = ("gpu", "team", "long", "ib")
        terms.arguments = ["--mail-type=END"]
        let options = Self.script(terms, request, priority: 100).options
        for option in [
            "--job-name=anneal-att_1", "--comment=anneal:job_1:att_1", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=16",
            "--gpus-per-node=h100:4", "--mem=101M", "--exclusive", "--partition=gpu", "--account=team", "--qos=long", "--constraint=ib",
            "--nice=0", "--no-requeue", "--signal=B:USR1@120",
        ] { #expect(options.contains(option), "\(option)") }
        #expect(options.last == "--mail-type=END" && !options.contains { $0.hasPrefix("--time") })
        let plain = Self.script(ClusterTerms(name: "hpc"), ResourceRequest()).options
        #expect(!plain.contains { $0.hasPrefix("--gpus") || $0.hasPrefix("--mem") || $0 == "--exclusive" })
    }

    @Test func anAllocationLastsAsLongAsTheJobMayAndNoLongerThanTheClusterAllows() {
        var terms = ClusterTerms(name: "hpc")
        #expect(Self.script(terms).timeLimit == nil)
        #expect(Self.script(terms, timeLimit: .seconds(3600)).options.contains("--time=64"))
        terms.timeLimit = .seconds(1800)
        #expect(Self.script(terms, timeLimit: .seconds(3600)).options.contains("--time=30"))
        #expect(Self.script(terms, timeLimit: .seconds(61)).options.contains("--time=5"))
        #expect(Self.script(terms).options.contains("--time=30"))
    }

    @Test func aSuccessorHasTheSameTermsAndANameOfItsOwn() throws {
        var terms = ClusterTerms(name: "hpc")
        terms.timeLimit = .seconds(1800)
        #expect(Self.script(terms).successorOptions == nil)
        terms.ahead = 1
        let script = Self.script(terms)
        let options = try #require(script.successorOptions)
        #expect(options.contains("--job-name=anneal-att_1-next") && options.contains("--output=/data/att_1/next.log"))
        #expect(options.filter { script.options.contains($0) }.count == script.options.count - 2)
        // One that ends by its own time limit in this allocation needs no other.
        #expect(Self.script(terms, timeLimit: .seconds(60)).successorOptions == nil)
        #expect(Self.script(terms, timeLimit: .seconds(7200)).successorOptions != nil)
    }

    @Test func onlyThoseWhoAskAreToldTheEndOfTheirAllocation() {
        var terms = ClusterTerms(name: "hpc")
        terms.margin = .seconds(300)
        #expect(!Self.script(terms).text.contains("squeue"))
        for text in [Self.script(terms, asksForEnd: true).text, Self.script(terms, asksForEnd: true).arrayText] {
            #expect(text.contains("export ANNEAL_SAVE_BY=$((SLURM_JOB_END_TIME - 300))"))
        }
    }

    @Test func whatAskForTheSameCanBeOneArray() {
        let (one, other) = (Self.script(directory: "/data/att_1"), Self.script(directory: "/data/att_2"))
        #expect(one.sharedOptions == other.sharedOptions && one.sharedOptions != Self.script(priority: 60).sharedOptions)
        let options = one.arrayOptions(tasks: 3)
        #expect(options.contains("--array=0-2") && options.contains("--job-name=anneal-att_1-array"))
        #expect(options.contains("--output=/data/att_1/array-%a.log"))
    }

    @Test func aHigherPriorityIsASmallerNiceAndNoneIsBelowZero() {
        #expect([0, 50, 100, 200].map(SlurmScript.nice) == [1000, 500, 0, 0])
    }

    @Test func aPercentSignInThePathStaysOne() {
        #expect(Self.script(directory: "/data/50%j").options.contains("--output=/data/50%%j/batch.log"))
    }
}
