import Domain
import JSON
import Testing

@testable import Specification

@Suite struct ClusterTests {
    private static func clusters(_ text: String) throws -> Result<[ClusterTerms], SpecErrors> {
        ClusterDocument.read(try SpecDocument.parse(Array(text.utf8), format: .yaml).get())
    }

    private static func errors(_ text: String) throws -> [SpecError] {
        guard case .failure(let errors) = try clusters(text) else { return [] }
        return errors.errors
    }

    @Test func theTermsOfClustersAreRead() throws {
        let text = """
            clusters:
              small: {executor: slurm}
              big:
                executor: slurm
                partition: gpu
                time: 4h
                margin: 3m
                gpus_per_node: 8
                environment: {A: 1}
                setup: [module load cuda]
                arguments: [--mail-type=END]
                poll: {least: 2s, most: 1m}
                data: /shared
            """
        let found = try Self.clusters(text).get()
        #expect(found.map(\.name) == ["big", "small"])
        let big = found[0]
        #expect(big.partition == "gpu" && big.timeLimit == .seconds(14_400) && big.margin == .seconds(180) && big.gpusPerNode == 8)
        #expect(big.environment == ["A": "1"] && big.setup == ["module load cuda"] && big.arguments == ["--mail-type=END"])
        #expect(big.pollLeast == .seconds(2) && big.pollMost == .seconds(60) && big.dataDirectory == "/shared")
        #expect(found[1] == ClusterTerms(name: "small"))
        #expect(try Self.clusters("data: /x").get().isEmpty)
        let own = try Self.clusters("clusters: {local: {executor: local, environment: {A: 1}}}").get()
        #expect(own.map(\.isLocal) == [true] && own[0].environment == ["A": "1"])
    }

    @Test func whatIsWrongIsToldWithItsLine() throws {
        let unknown = try Self.errors("clusters:\n  hpc:\n    executor: slurm\n    partitoin: x\n")
        #expect(unknown.count == 1 && unknown[0].line == 4 && unknown[0].pointer.description == "/clusters/hpc/partitoin")
        #expect(unknown[0].detail.contains("partition"))
        for (text, part) in [
            ("{local: {executor: slurm}}", "this machine itself"), ("{'a b': {executor: slurm}}", "no name for a cluster"),
            ("{box: {executor: local}}", "describe it under that name"), ("{local: {executor: local, qos: x}}", "means nothing"),
            ("{a: {}}", "'executor' is missing"), ("{a: {executor: pbs}}", "slurm"), ("[a]", "must be a mapping"),
            ("{a: {executor: slurm, time: 60s, margin: 60s}}", "longer than 'margin'"),
            ("{a: {executor: slurm, shim: here}}", "absolute path"),
            ("{a: {executor: slurm, poll: {least: 2m, most: 1m}}}", "not be longer"),
        ] {
            let found = try Self.errors("clusters: \(text)")
            #expect(found.contains { $0.detail.contains(part) }, "\(text): \(found)")
        }
    }

    @Test func eachClusterHasItsOwnContainers() throws {
        let text = """
            containers: {runtime: docker, program: /bin/docker, gpus: flag}
            clusters:
              own: {executor: slurm, containers: {runtime: apptainer, options: [-s], shm: 1GiB, mounts: ["/scratch:/s:ro"], ulimits: {nofile: 9}}}
              other: {executor: slurm}
            """
        let document = try SpecDocument.parse(Array(text.utf8), format: .yaml).get()
        _ = try ClusterDocument.read(document).get()
        let found = ContainerDocument.ofClusters(document)
        #expect(Array(found.keys) == ["own"])
        let own = try #require(found["own"])
        #expect(own.runtime == .apptainer && own.program == "apptainer" && own.gpus == .flag && own.options == ["-s"])
        #expect(own.shmBytes == 1 << 30 && own.ulimits == ["nofile": 9] && own.mounts.map(\.target) == ["/s"])
        let daemons = try #require(try ContainerDocument.read(document, find: { _ in nil }).get())
        #expect(daemons.runtime == .docker && daemons.gpus == .flag && daemons.usesInit && daemons.isConfigured)
    }

    @Test(arguments: [
        ("runtmie: podman", "unknown key 'runtmie'"), ("runtime: lxc", "podman"), ("gpus: all", "cdi"), ("mounts: [a]", "absolute paths"),
        ("shm: big", "size"), ("init: 1", "true or false"), ("ulimits: {nofiles: 1}", "nofile"), ("program: podman", "no 'podman' in PATH"),
    ])
    func containersThatAreWrongAreToldWithTheirLine(text: String, part: String) throws {
        let document = try SpecDocument.parse(Array("data: /x\ncontainers:\n  \(text)\n".utf8), format: .yaml).get()
        guard case .failure(let errors) = ContainerDocument.read(document, find: { _ in nil }) else {
            Issue.record("taken: \(text)")
            return
        }
        #expect(errors.errors.contains { $0.line == 3 && $0.detail.contains(part) }, "\(errors)")
        guard !text.hasPrefix("program") else { return }
        #expect(try Self.errors("clusters:\n  a:\n    executor: slurm\n    containers:\n      \(text)\n").contains { $0.line == 5 })
    }

    @Test func clustersAreCountedToTheirLimit() throws {
        func text(_ count: Int) -> String {
            "clusters: {" + (0..<count).map { "c\($0): {executor: slurm}" }.joined(separator: ", ") + "}"
        }
        #expect(try Self.errors(text(SpecLimits.clustersMax)).isEmpty)
        #expect(try Self.errors(text(SpecLimits.clustersMax + 1)).first?.code == .tooLarge)
    }

    @Test func termsAreHeldToTheirLimits() throws {
        func errors(_ key: String, _ value: String) throws -> [SpecError] {
            try Self.errors("clusters: {a: {executor: slurm, \(key): \(value)}}")
        }
        #expect(try errors("gpus_per_node", "\(SpecLimits.gpusPerNodeMax)").isEmpty)
        #expect(try errors("gpus_per_node", "\(SpecLimits.gpusPerNodeMax + 1)").count == 1)
        #expect(try errors("qos", String(repeating: "q", count: SpecLimits.clusterWordBytesMax)).isEmpty)
        #expect(try errors("qos", String(repeating: "q", count: SpecLimits.clusterWordBytesMax + 1)).count == 1)
    }

    // MARK: Specs

    private static func plan(_ text: String, clusters: [String]? = ["hpc", "cloud"]) throws -> Result<ExperimentPlan, SpecErrors> {
        var context = PlanContext(baseDirectory: "/", pathExists: { $0 == "/m" ? .directory : .file }, artifactExists: { _ in true })
        context.clusters = clusters
        return ExperimentPlan.make(from: try SpecDocument.parse(Array(text.utf8), format: .yaml).get(), context: context)
    }

    @Test func aJobRunsWhereItSaysElseWhereTheExperimentSays() throws {
        let text = """
            name: x
            cluster: hpc
            jobs:
              a: {kind: command, command: 'true'}
              b: {kind: command, command: 'true', cluster: cloud}
              c: {kind: command, command: 'true', cluster: local}
            """
        #expect(try Self.plan(text).get().jobs.map(\.terms.cluster) == ["hpc", "cloud", nil])
    }

    @Test func whereItRunsDoesNotChangeWhatAJobMakes() throws {
        let jobs = try ["hpc", "local"].map { name in
            try Self.plan("name: x\njobs: {a: {kind: command, command: 'true', cluster: \(name)}}").get().jobs[0]
        }
        #expect(jobs[0].cacheForm(inputs: [:], references: [:]) == jobs[1].cacheForm(inputs: [:], references: [:]))
    }

    @Test func anUnknownClusterIsRefused() throws {
        func refusal(_ text: String, clusters: [String]?) throws -> SpecError? {
            guard case .failure(let errors) = try Self.plan(text, clusters: clusters) else { return nil }
            return errors.errors.first
        }
        let job = "name: x\njobs:\n  a: {kind: command, command: 'true', cluster: hcp}\n"
        let error = try refusal(job, clusters: ["hpc"])
        #expect(error?.line == 3 && error?.detail.contains("(did you mean 'hpc'?)") == true && error?.code == .unknownName)
        #expect(try refusal(job, clusters: [])?.detail.contains("names none") == true)
        #expect(try refusal(job, clusters: nil) == nil)
        #expect(try refusal("name: x\ncluster: zzz\njobs: {a: {kind: command, command: 'true'}}", clusters: ["hpc"])?.line == 2)
    }

    @Test func aServerOfThisMachineIsNotReachedFromACluster() throws {
        func plan(_ server: String, _ user: String) throws -> Result<ExperimentPlan, SpecErrors> {
            try Self.plan(
                """
                name: x
                jobs:
                  s: {kind: serve, model: /m, server: {engine: vllm}\(server)}
                  e: {kind: generate, server: {job: s}, dataset: /d.jsonl, prompt: {user: q}\(user)}
                """)
        }
        for server in [", cluster: hpc", ""] { _ = try plan(server, "").get() }
        _ = try plan(", cluster: hpc", ", cluster: hpc").get()
        guard case .failure(let errors) = try plan("", ", cluster: hpc") else {
            Issue.record("a job of a cluster was let ask a server of this machine")
            return
        }
        #expect(errors.errors.contains { $0.detail.contains("do not reach the server 's'") })
    }

    @Test(
        arguments: [
            ("kind: evaluate, model: /m, benchmarks: [{dataset: /d.jsonl}]", "runs on one node"),
            (
                "kind: train, method: sft, model: /m, dataset: /d.jsonl, params: {global_batch_size: 6, micro_batch_size: 2}",
                "× 2 nodes = 4"
            ),
            (
                "kind: train, method: sft, model: /m, dataset: /d.jsonl, params: {global_batch_size: 4, micro_batch_size: 2, parallel: none}",
                "asks for 2 nodes"
            ),
        ])
    func severalNodesAreForThoseWhoCanUseThem(_ body: String, _ words: String) throws {
        let text = "name: x\ncluster: hpc\njobs: {a: {\(body), resources: {nodes: 2}}}"
        guard case .failure(let errors) = try Self.plan(text) else {
            Issue.record("several nodes were allowed")
            return
        }
        #expect(errors.errors.contains { $0.detail.contains(words) }, "\(errors)")
    }

    @Test func nodesAreCountedToTheirLimit() throws {
        func plan(_ nodes: Int) throws -> Result<ExperimentPlan, SpecErrors> {
            try Self.plan(
                "name: x\ncluster: hpc\njobs: {a: {kind: command, command: 'true', resources: {nodes: \(nodes), exclusive: true}}}")
        }
        let request = try plan(SpecLimits.nodesMax).get().jobs[0].resources
        #expect(request.nodes == SpecLimits.nodesMax && request.isExclusive)
        guard case .failure = try plan(SpecLimits.nodesMax + 1) else {
            Issue.record("too many nodes were allowed")
            return
        }
    }
}
