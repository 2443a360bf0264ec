import EventLoop
import HTTPServer
import Service

/// How far the generations of jobs are, what failed, and samples.
@LoopActor
enum GenerationRoutes {
    private static let samplesUsual = 5

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.generations(of: call.parameter())) }

    static func failures(_ call: Call) async throws -> Answer {
        try await .masked(try await call.service.generationFailures(of: call.parameter(), page: try call.page()), by: call.service)
    }

    static func samples(_ call: Call) async throws -> Answer {
        let count = try call.integer("count", in: 1...ServiceLimits.generationSamplesMax) ?? samplesUsual
        let seed = try call.integer("seed", in: 0...Int(UInt32.max))
        let random = try call.integer("random_seed", in: 0...Int(UInt32.max)) ?? 0
        let samples = try await call.service.generationSamples(of: call.parameter(), count: count, seed: seed, randomSeed: random)
        return try await .masked(samples, by: call.service)
    }
}
