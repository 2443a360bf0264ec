import Domain
import JSON
import Testing

@testable import Specification

/// What a spec says of resources, order and retries.
@Suite struct QueueTermsTests {
    private func job(_ lines: String, kind: String = "command") throws -> JobPlan {
        let body = kind == "command" ? "    command: [\"true\"]\n" : ""
        return try plan("name: x\njobs:\n  a:\n    kind: \(kind)\n\(body)\(lines)").get().jobs[0]
    }

    private func plan(_ text: String) -> Result<ExperimentPlan, SpecErrors> {
        SpecDocument.parse(Array(text.utf8), format: .yaml).flatMap { document in
            ExperimentPlan.make(
                from: document,
                context: PlanContext(baseDirectory: "/", pathExists: { _ in nil }, artifactExists: { _ in false }))
        }
    }

    private func errors(_ lines: String) -> [String] {
        guard case .failure(let errors) = plan("name: x\njobs:\n  a:\n    kind: command\n    command: [\"true\"]\n\(lines)") else {
            return []
        }
        return errors.errors.map { "\($0.pointer) \($0.line ?? 0)" }
    }

    @Test func gpusAreANumberARangeOrAShare() throws {
        let two = try job("    resources: {gpus: 2}\n").resources
        #expect(two.gpus == 2 && two.gpusMax == 2 && two.gpuShare == 0)
        let range = try job("    resources: {gpus: \"1-8\"}\n").resources
        #expect(range.gpus == 1 && range.gpusMax == 8)
        let share = try job("    resources: {gpus: 0.5}\n").resources
        #expect(share.gpus == 0 && share.gpuShare == 500)
    }

    @Test(arguments: ["-1", "1025", "1.5", "\"8-1\"", "\"a\"", "0.0001", "\"1-\"", "\"0-0\""])
    func otherNumbersOfGPUsAreRefused(value: String) {
        #expect(errors("    resources: {gpus: \(value)}\n") == ["/jobs/a/resources/gpus 6"])
    }

    @Test func kindsOfGPUsAndCountersAreRead() throws {
        let resources = try job("    resources: {gpus: 1, model: H200, gpu_memory: 40GiB, licences: 1, counters: {seats: 2}, cpus: 4}\n")
            .resources
        #expect(resources.gpuModel == "H200" && resources.gpuMemoryBytes == 40 << 30 && resources.cpus == 4)
        #expect(resources.counters == ["licences": 1, "seats": 2])
    }

    @Test func aSlipIsNotTakenForACounter() {
        #expect(errors("    resources: {gpu: 2}\n") == ["/jobs/a/resources/gpu 6"])
        #expect(errors("    resources: {licences: many}\n") == ["/jobs/a/resources/licences 6"])
    }

    @Test func alternativesTakeFromTheKeysBesideThem() throws {
        let resources = try job("    resources: {cpus: 8, any_of: [{gpus: 2, model: H200}, {gpus: 4, cpus: 16}]}\n").resources
        #expect(resources.gpus == 2 && resources.gpuModel == "H200" && resources.cpus == 8)
        #expect(
            resources.alternatives.map(\.gpus) == [4] && resources.alternatives[0].cpus == 16 && resources.alternatives[0].gpuModel == nil)
        #expect(errors("    resources: {gpus: 1, any_of: [{gpus: 2}]}\n") == ["/jobs/a/resources/gpus 6"])
        #expect(errors("    resources: {any_of: []}\n") == ["/jobs/a/resources/any_of 6"])
    }

    @Test func soManyAlternativesAreAllowed() throws {
        func list(_ count: Int) -> String { Array(repeating: "{gpus: 1}", count: count).joined(separator: ", ") }
        #expect(
            try job("    resources: {any_of: [\(list(SpecLimits.alternativesMax))]}\n").resources.choices.count
                == SpecLimits.alternativesMax)
        #expect(errors("    resources: {any_of: [\(list(SpecLimits.alternativesMax + 1))]}\n") == ["/jobs/a/resources/any_of 6"])
    }

    @Test func theQueueTermsAreRead() throws {
        let terms = try job("    preemptible: true\n    hold: true\n    concurrency: {group: deploy, limit: 2, cancel_in_progress: true}\n")
            .terms
        #expect(terms.isPreemptible && terms.isHeld)
        #expect(terms.concurrency == ConcurrencyGroup(name: "deploy", limit: 2, cancelsInProgress: true))
        #expect(try job("    concurrency: deploy\n").terms.concurrency == ConcurrencyGroup(name: "deploy"))
        #expect(try job("").terms == SchedulingTerms())
    }

    @Test func stallsAndDivergenceAreRead() throws {
        #expect(try job("    stall: 10m\n").terms.stall == StallPolicy(least: .seconds(120), most: .seconds(600)))
        #expect(try job("    stall: {least: 5s, most: 1h}\n").terms.stall == StallPolicy(least: .seconds(5), most: .seconds(3600)))
        #expect(try job("    stall: true\n").terms.stall == StallPolicy())
        #expect(try job("    nan_steps: 3\n").terms.nonFiniteSteps == 3)
        #expect(errors("    stall: {least: 2h, most: 1h}\n") == ["/jobs/a/stall/least 6"])
    }

    @Test func retriesAreReadByCause() throws {
        let retry = try job("    retry: {limit: 2, on: {network: 5, crashed: {limit: 1, delay: 30s}}, on_oom: halve_micro_batch}\n").retry
        #expect(retry.limit == 2 && retry.onOutOfMemory == .halveMicroBatch)
        #expect(retry.rules == [.network: .init(limit: 5), .crashed: .init(limit: 1, delay: .seconds(30))])
        #expect(try job("    retry: 3\n").retry == RetryPolicy(limit: 3))
        #expect(try job("").retry == RetryPolicy())
        #expect(errors("    retry: {on: {networks: 1}}\n") == ["/jobs/a/retry/on/networks 6"])
        #expect(errors("    retry: {on_oom: shrink}\n") == ["/jobs/a/retry/on_oom 6"])
    }
}
