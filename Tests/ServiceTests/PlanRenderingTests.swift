import Testing

@testable import Service

@Suite struct PlanRenderingTests {
    @Test(arguments: [
        ("HF_TOKEN", true), ("WANDB_API_KEY", true), ("db_password", true), ("PATH", false), ("TOKENIZERS_PARALLELISM", true),
    ])
    func namesThatUsuallyHoldSecretsAreKnown(name: String, isSecret: Bool) { #expect(PlanRendering.isSecret(name) == isSecret) }
}
