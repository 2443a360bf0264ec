import EventLoop
import HTTPServer
import Service

/// What reinforcement jobs learn from.
@LoopActor
enum RolloutRoutes {
    private static let usual = 20

    static func get(_ call: Call) async throws -> Answer {
        let step = try call.integer("step", in: 0...Int(Int32.max))
        let limit = try call.integer("limit", in: 1...ServiceLimits.rolloutsMax) ?? usual
        let order = try call.choice("order", as: RolloutOrder.self) ?? .kept
        let rollouts = try await call.service.rollouts(of: call.parameter(), step: step, order: order, limit: limit)
        return try await .masked(rollouts, by: call.service)
    }
}
