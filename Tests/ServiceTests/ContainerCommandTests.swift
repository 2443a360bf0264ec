import Domain
import Glibc
import JSON
import Specification
import Supervision
import Testing

@testable import Service

/// The command lines of every runtime, word by word: not all of them can run where the tests do.
@Suite struct ContainerCommandTests {
    private func launch(
        _ runtime: ContainerRuntime, container: JSONValue = ["image": "lab/train:1"],
        cluster: ClusterTerms? = nil, set: (inout ContainerConfiguration) -> Void = { _ in }
    ) throws -> AttemptLaunch {
        var configuration = ServiceConfiguration(
            dataDirectory: "/data", shimPath: "/shim", workerPath: "/usr/lib/anneal-worker", pythonPath: nil, trainerDirectory: "/trainer",
            workerURL: "http://127.0.0.1:7600", version: "1")
        configuration.containers.runtime = runtime
        configuration.containers.program = "/bin/" + runtime.program
        configuration.containers.shmBytes = nil
        set(&configuration.containers)
        var launch = AttemptLaunch(
            directory: "/data/attempts/att_1", argv: ["python3", "-m", "anneal_trainer"],
            environment: [("PATH", "/bin"), ("HOME", "/root"), ("ANNEAL_URL", "u"), ("LANG", "C")],
            workingDirectory: "/data/jobs/job_1/outputs",
            jobDocument: .null)
        launch.secrets = [("HF_TOKEN", "secret-value")]
        let terms = try #require(ContainerTerms(job: ["container": container]))
        let attempt = EnclosedAttempt(
            id: "att_1", jobID: "job_1", kind: .train,
            inputs: ["/cache/models--lab--m/snapshots/1", "/data/jobs/job_1/checkpoints/step_1"],
            gpus: ["GPU-a", "GPU-b"], memoryBytes: 1024, cpus: 6)
        try ContainerEnclosure(configuration: configuration, terms: terms, cluster: cluster, hasDevices: true).enclose(
            &launch, attempt: attempt, jobVariables: ["LANG": "C"], client: { $0 == "PATH" ? "/usr/bin" : nil })
        return launch
    }

    private let mounts = [
        ("/cache/models--lab--m", true), ("/data/attempts/att_1", false), ("/data/jobs/job_1", false), ("/trainer", true),
        ("/usr/lib/anneal-worker", true),
    ]

    private var triples: [String] { mounts.map { path, isReadOnly in "\(path):\(path)" + (isReadOnly ? ":ro" : "") } }

    @Test func podmanIsTold() throws {
        let launch = try launch(.podman)
        let user = geteuid() == 0 ? ["--user", "0:\(getegid())"] : ["--userns", "keep-id"]
        var expected = ["/bin/podman", "run", "--name", "anneal-att_1", "--label", "anneal.data=/data", "--pull", "missing"]
        expected += ["--log-driver", "passthrough", "--init", "--network", "host", "--memory", "1024"] + user
        expected += ["--device", "nvidia.com/gpu=GPU-a", "--device", "nvidia.com/gpu=GPU-b", "--security-opt", "label=disable"]
        for (path, isReadOnly) in mounts {
            expected += ["--mount", "type=bind,source=\(path),target=\(path)" + (isReadOnly ? ",readonly" : "")]
        }
        expected += ["--workdir", "/data/jobs/job_1/outputs", "--env", "ANNEAL_PYTHON", "--env", "ANNEAL_URL", "--env", "HF_TOKEN"]
        expected += ["--env", "LANG=C", "--entrypoint", "", "lab/train:1", "python3", "-m", "anneal_trainer"]
        #expect(launch.argv == expected)
        #expect(launch.environment.map { "\($0)=\($1)" } == ["PATH=/usr/bin", "ANNEAL_PYTHON=python3", "ANNEAL_URL=u"])
        #expect(launch.cleanUp.map(\.argv.last) == ["anneal-att_1", "anneal-att_1"])
        #expect(launch.cleanUp[1].argv == ["/bin/podman", "rm", "--force", "--time", "0", "--ignore", "anneal-att_1"])
    }

    @Test func dockerIsTold() throws {
        let argv = try launch(.docker, container: ["image": "i", "shm": "1GiB", "ulimits": ["memlock": -1], "network": "none"]) {
            $0.gpus = .flag
        }.argv
        #expect(argv.contains("\"device=GPU-a,GPU-b\"") && argv.contains("memlock=-1:-1") && argv.contains("none"))
        #expect(argv.contains("1073741824") && !argv.contains("passthrough"))
        #expect(try launch(.docker).cleanUp[1].argv == ["/bin/docker", "rm", "--force", "anneal-att_1"])
    }

    @Test func apptainerIsTold() throws {
        let launch = try launch(.apptainer, container: ["image": "docker://lab/train:1"]) { $0.gpus = .flag }
        var expected = ["/bin/apptainer", "exec", "--cleanenv", "--no-home", "--pid", "--nv"]
        for triple in triples { expected += ["--bind", triple] }
        expected += ["--pwd", "/data/jobs/job_1/outputs", "docker://lab/train:1", "python3", "-m", "anneal_trainer"]
        #expect(launch.argv == expected)
        #expect(launch.secrets.map(\.name) == ["APPTAINERENV_HF_TOKEN"])
        #expect(launch.environment.contains { $0 == ("APPTAINERENV_LANG", "C") } && launch.cleanUp.isEmpty)
    }

    @Test func pyxisIsTold() throws {
        var expected = [
            "/bin/srun", "--ntasks=1", "--kill-on-bad-exit=1", "--unbuffered", "--container-image=lab/train:1", "--no-container-mount-home",
        ]
        expected += ["--container-mounts=" + triples.joined(separator: ","), "--container-workdir=/data/jobs/job_1/outputs"]
        expected += ["--container-env=ANNEAL_PYTHON,ANNEAL_URL,HF_TOKEN", "env", "LANG=C", "python3", "-m", "anneal_trainer"]
        #expect(try launch(.pyxis).argv == expected)
    }

    private var hpc: ClusterTerms {
        var terms = ClusterTerms(name: "hpc")
        terms.environment = ["PATH": "/opt/bin", "OF_THE_CLUSTER": "c", "ANNEAL_URL": "below"]
        return terms
    }

    @Test func whatOnlyANodeKnowsIsLeftToIt() throws {
        let podman = try launch(.podman, cluster: hpc) { $0.program = "podman" }
        #expect(podman.argv.prefix(6) == ["/shim", "--enter", podman.argv[2], "podman", "run", "{name:anneal-att_1}"])
        let last = try #require(Int(podman.argv[2])) + 3
        #expect(podman.argv[last - 1] == "lab/train:1" && podman.argv[last...] == ["python3", "-m", "anneal_trainer"])
        #expect(podman.argv.contains("{gpus:cdi}") && !podman.argv.contains("nvidia.com/gpu=GPU-a"))
        let variables = try #require(podman.argv.first { $0.hasPrefix("{variables:") })
        #expect(variables.hasSuffix(",CUDA_VISIBLE_DEVICES,OF_THE_CLUSTER}") && variables.contains("SLURM_*,"))
        #expect(!podman.environment.contains { $0.0 == "PATH" }, "the client has its node's own")
        #expect(podman.cleanUp.allSatisfy { $0.argv.starts(with: ["/usr/bin/env", "podman"]) })
        let docker = try launch(.docker, cluster: hpc) { $0.gpus = .flag }
        #expect(docker.argv.contains("{gpus:docker}"))
        let apptainer = try launch(.apptainer, cluster: hpc) { $0.gpus = .flag }
        #expect(apptainer.argv.contains("{gpus:apptainer}") && apptainer.argv.contains { $0.hasPrefix("{apptainer:") })
        let pyxis = try launch(.pyxis, cluster: hpc)
        #expect(pyxis.argv.prefix(3) == ["/shim", "--step", "/bin/srun"] && pyxis.argv.contains("--cpus-per-task=6"))
        #expect(pyxis.argv.contains("--container-env=ANNEAL_PYTHON,ANNEAL_URL,HF_TOKEN,OF_THE_CLUSTER"))
        #expect(!(podman.argv + docker.argv + apptainer.argv + pyxis.argv).joined(separator: " ").contains("secret-value"))
    }

    @Test func whatARuntimeLacksIsTold() throws {
        func shortfalls(_ runtime: ContainerRuntime, _ more: JSONObject, nodes: Int = 1) throws -> [String] {
            let terms = try #require(ContainerTerms(job: ["container": .object(more.merging(["image": "i"]) { $1 })]))
            return ContainerCommand.shortfalls(of: runtime, terms, nodes: nodes)
        }
        let much: JSONObject = ["network": "none", "shm": "1GiB", "ulimits": ["nofile": 5]]
        #expect(try shortfalls(.podman, much, nodes: 2).isEmpty && shortfalls(.docker, much).isEmpty)
        #expect(try shortfalls(.pyxis, much, nodes: 2).count == 4 && shortfalls(.pyxis, [:]).isEmpty)
        #expect(try shortfalls(.apptainer, much).count == 2 && shortfalls(.apptainer, ["network": "bridge"]).count == 1)
        #expect(try launch(.apptainer, container: ["image": "i", "network": "none"]).argv.contains("--net"))
    }

    @Test(arguments: ContainerRuntime.allCases)
    func noCommandLineHoldsASecret(runtime: ContainerRuntime) throws {
        let launch = try launch(runtime)
        #expect(!launch.argv.joined(separator: " ").contains("secret-value"))
        #expect(!launch.environment.contains { $0.1.contains("secret-value") } && launch.secrets.map(\.value) == ["secret-value"])
    }

    @Test(arguments: [
        ("/a", "/a", false), ("/a:/b", "/b", false), ("/a:/b:ro", "/b", true), ("/a:/b:rw", "/b", false),
    ])
    func mountsAreRead(text: String, target: String, isReadOnly: Bool) {
        #expect(ContainerTerms.Mount(text) == ContainerTerms.Mount(source: "/a", target: target, isReadOnly: isReadOnly))
    }

    @Test(arguments: ["", "a", "/a:b", "/a:/b:x", "/a:/b:ro:z", "/a,b", "/a\"b"])
    func otherMountsAreNot(text: String) { #expect(ContainerTerms.Mount(text) == nil) }

    @Test func theEndOfAClientIsUnderstood() throws {
        let created = ContainerState(Array(#"{"StartedAt":"0001-01-01T00:00:00Z","OOMKilled":false}"#.utf8))
        let ran = ContainerState(Array(#"{"StartedAt":"2026-01-01T00:00:00Z","OOMKilled":true}"#.utf8))
        func end(_ state: ContainerState?) -> ContainerEnd { ContainerEnd(runtime: "podman", image: "i", state: state) }
        #expect(
            end(nil).startError(exitCode: 125, stderrTail: "a\nError: image not known\n")?.hasSuffix(": Error: image not known") == true)
        #expect(end(created).startError(exitCode: 127, stderrTail: "") == "the program is not in the image 'i'")
        #expect(end(created).startError(exitCode: 126, stderrTail: "") == "the program cannot be executed in the image 'i'")
        #expect(end(ran).startError(exitCode: 127, stderrTail: "sh: x: not found") == nil)
        #expect(end(ran).startError(exitCode: 1, stderrTail: "ERROR (catatonit:2): failed to exec pid1: no") != nil)
        #expect(end(ran).signal(exitCode: 137) == 9 && end(ran).signal(exitCode: 7) == nil && end(nil).signal(exitCode: 137) == nil)
        #expect(ran?.isOutOfMemory == true && ContainerState(Array("Error".utf8)) == nil)
    }
}
