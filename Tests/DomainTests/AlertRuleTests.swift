import Domain
import Testing

@Suite struct AlertRuleTests {
    @Test(arguments: [
        ("train/loss > 10", AlertRule.Condition.value(key: "train/loss", .greater, .number(10), steps: 1)),
        ("train/loss > 10 for 3", .value(key: "train/loss", .greater, .number(10), steps: 3)),
        ("a <= -1e-3 for 1000000", .value(key: "a", .atMost, .number(-0.001), steps: 1_000_000)),
        (
            "rewards_chosen_mean < rewards_rejected_mean for 50",
            .value(key: "rewards_chosen_mean", .less, .key("rewards_rejected_mean"), steps: 50)
        ),
        ("loss is nan for 2", .notANumber(key: "loss", steps: 2)), ("stalled", .stalled), ("gpu_idle > 20m", .gpuIdle(.seconds(1200))),
        ("gpu_idle > 90s", .gpuIdle(.seconds(90))), ("gpu_idle > 2h", .gpuIdle(.seconds(7200))),
    ])
    func aRuleIsRead(text: String, condition: AlertRule.Condition) throws {
        #expect(try #require(AlertRule(text)).condition == condition)
    }

    @Test(arguments: [
        "", "loss", "loss >", "> 3", "loss >> 3", "loss > 3 for", "loss > 3 for 0", "loss > 3 for 1000001", "loss > 3 for x", "loss > nan",
        "loss > inf", "1 > 2", "loss is bad", "stalled for 3", "gpu_idle > 0m", "gpu_idle > 5", "gpu_idle > 20 m", "loss > 3 and a < 2",
    ])
    func whatSaysNothingIsNoRule(text: String) {
        #expect(AlertRule(text) == nil)
    }

    @Test func nothingComparesWithNaN() {
        for sign in AlertRule.Sign.allCases where sign != .unequal { #expect(!sign.holds(.nan, 1) && !sign.holds(1, .nan)) }
        #expect(AlertRule.Sign.atLeast.holds(2, 2) && AlertRule.Sign.equal.holds(2, 2) && AlertRule.Sign.unequal.holds(1, 2))
    }
}
