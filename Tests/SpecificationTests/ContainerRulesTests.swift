import JSON
import Testing

@testable import Specification

@Suite struct ContainerRulesTests {
    private let fixture = PlanFixture()

    private func spec(_ root: String, _ job: String) -> String { "name: one\n\(root)jobs:\n  a: {kind: command, command: x\(job)}\n" }

    private func container(_ root: String, _ job: String) throws -> ContainerTerms? { try fixture.plan(spec(root, job)).jobs[0].container }

    @Test func aJobsKeysGoBeforeThoseOfItsExperiment() throws {
        let terms = try #require(
            try container(
                "container: {image: lab/a:1, shm: 1GiB, mounts: [\"/srv:/srv:ro\"]}\n", ", container: {shm: 2GiB, workdir: /work}"))
        #expect(terms.image == "lab/a:1" && terms.shmBytes == 2 << 30 && terms.workdir == "/work")
        #expect(terms.mounts == [ContainerTerms.Mount(source: "/srv", target: "/srv", isReadOnly: true)])
    }

    @Test func anImageAloneIsEnoughAndFalseIsNone() throws {
        #expect(try container("", ", container: lab/a:1")?.image == "lab/a:1")
        #expect(try container("container: lab/a:1\n", "")?.image == "lab/a:1")
        #expect(try container("container: lab/a:1\n", ", container: false") == nil)
        #expect(try container("", "") == nil)
    }

    @Test(arguments: [
        ("container: true", "/jobs/a/container bad_value"), ("container: {shm: 1GiB}", "/jobs/a/container required"),
        ("container: {image: --privileged}", "/jobs/a/container/image bad_value"),
        ("container: {image: i, workdir: here}", "/jobs/a/container/workdir bad_value"),
        ("container: {image: i, mounts: [\"data:/data\"]}", "/jobs/a/container/mounts/0 bad_value"),
        ("container: {image: i, env: {ANNEAL_X: y}}", "/jobs/a/container/env/ANNEAL_X bad_value"),
        ("container: {image: i, ulimits: {nofiles: 1}}", "/jobs/a/container/ulimits/nofiles unknown_key"),
        ("container: {image: i, network: lan}", "/jobs/a/container/network bad_value"),
    ])
    func aFaultIsTold(job: String, problem: String) {
        let problems = fixture.problems(spec("", ", " + job))
        #expect(problems.count == 1 && problems[0].hasPrefix(problem), "\(problems)")
    }

    @Test func limitsHold() {
        func problems(mounts: Int, ulimit: Int, image: Int) -> Int {
            let list = (0..<mounts).map { "/m\($0)" }.joined(separator: ", ")
            let name = String(repeating: "i", count: image)
            return fixture.problems(spec("", ", container: {image: \(name), mounts: [\(list)], ulimits: {nofile: \(ulimit)}}")).count
        }
        #expect(problems(mounts: SpecLimits.mountsMax, ulimit: SpecLimits.ulimitMax, image: SpecLimits.imageBytesMax) == 0)
        #expect(problems(mounts: SpecLimits.mountsMax + 1, ulimit: SpecLimits.ulimitMax + 1, image: SpecLimits.imageBytesMax + 1) == 3)
    }

    // MARK: Secrets

    @Test func aJobGetsTheSecretsOfItsExperimentAndItsOwn() throws {
        #expect(try fixture.plan(spec("secrets: [A, B]\n", ", secrets: [B, C]")).jobs[0].secrets == ["A", "B", "C"])
        #expect(try fixture.plan(spec("", "")).jobs[0].secrets == [])
    }

    @Test(arguments: [
        ("env: {A: x}\nsecrets: [A]\n", "", "/secrets/0 conflict"), ("secrets: [A]\n", ", env: {A: x}", "/jobs/a/env/A conflict"),
        ("", ", env: {A: x}, secrets: [A]", "/jobs/a/secrets/0 conflict"), ("", ", secrets: [ANNEAL_TOKEN]", "/jobs/a/secrets/0 bad_value"),
        ("", ", secrets: [\"a-b\"]", "/jobs/a/secrets/0 bad_value"), ("", ", secrets: A", "/jobs/a/secrets wrong_type"),
    ])
    func aNameThatCannotBeASecretIsTold(root: String, job: String, problem: String) {
        let problems = fixture.problems(spec(root, job))
        #expect(problems.count == 1 && problems[0].hasPrefix(problem), "\(problems)")
    }

    @Test func soManySecretsAreTakenAndOneMoreIsNot() {
        func problems(_ count: Int) -> Int {
            fixture.problems(spec("", ", secrets: [\((0..<count).map { "S\($0)" }.joined(separator: ", "))]")).count
        }
        #expect(problems(SpecLimits.secretsMax) == 0 && problems(SpecLimits.secretsMax + 1) == 1)
    }

    @Test func secretsDoNotMakeAJobAnother() throws {
        func form(_ job: String) throws -> [UInt8] { try fixture.plan(spec("", job)).jobs[0].cacheForm(inputs: [:], references: [:]) }
        let bare = try form("")
        #expect(try form(", secrets: [A]") == bare)
        #expect(try form(", container: i") != bare)
    }
}
