import Foundation
import Testing

@testable import Service

@Suite struct WebhookSignatureTests {
    @Test func aKnownMessageHasItsSignature() throws {
        // The example of Standard Webhooks' reference implementations (standard-webhooks/standard-webhooks, libraries/).
        let key = try #require(WebhookSignature.key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let signature = WebhookSignature.sign(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: Array("{\"test\": 2432232314}".utf8), key: key)
        #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test func aNewSecretCanSign() {
        let (one, other) = (WebhookSignature.makeSecret(), WebhookSignature.makeSecret())
        #expect(one != other && WebhookSignature.key(one) != nil)
        for bad in ["", "whsec_", "whsec_%%%", "secret_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ="] {
            #expect(WebhookSignature.key(bad) == nil)
        }
    }
}
