import Domain
import EventLoop
import HTTPClient
import Logging
import Store

/// Sends what waits in the outbox: at least once, with pauses that grow, and never to addresses of this machine unless allowed.
@LoopActor
final class WebhookSender {
    /// Pauses after failures; after the last the message is given up.
    private static let pauses: [Duration] = [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200].map(Duration.seconds)
    private nonisolated static let sendingMax = 8
    private static let lookEvery: Duration = .seconds(1)
    private static let timeout: Duration = .seconds(15)
    private static let answerBytesMax = 64 * 1024

    private let store: Store
    private let log: Logger
    private let allowsPrivate: Bool
    private let client = HTTPClient(connectionsMax: WebhookSender.sendingMax)
    private var sending: Set<String> = []
    private var timer: LoopTimer?
    private var isLooking = false

    init(store: Store, allowsPrivate: Bool, log: Logger) {
        self.store = store
        self.allowsPrivate = allowsPrivate
        self.log = log
    }

    func start() { timer = LoopTimer(after: .zero, every: Self.lookEvery) { [weak self] in self?.look() } }

    func stop() { timer?.cancel() }

    /// Looks for what is due.
    func look() {
        guard !isLooking, sending.count < Self.sendingMax else { return }
        isLooking = true
        Task { @LoopActor in
            defer { isLooking = false }
            do {
                let moment = Timestamp(milliseconds: SystemTime.now())
                let (due, hooks) = try await store.read {
                    let due = try $0.dueDeliveries(at: moment, limit: Self.sendingMax * 2)
                    return (due, due.isEmpty ? [] : try $0.webhooks())
                }
                for delivery in due where sending.count < Self.sendingMax && sending.insert(delivery.id).inserted {
                    let hook = hooks.first { $0.id == delivery.webhookID }
                    Task { @LoopActor in
                        await self.send(delivery, to: hook)
                        self.sending.remove(delivery.id)
                    }
                }
            } catch {
                log.error("the outbox of webhooks cannot be read", metadata: ["error": "\(error)"])
            }
        }
    }

    private func send(_ delivery: DeliveryRecord, to hook: WebhookRecord?) async {
        var (status, message): (Int?, String?) = (nil, nil)
        if let hook, let key = WebhookSignature.key(hook.secret) {
            let seconds = SystemTime.now() / 1000
            let body = Array(delivery.body.utf8)
            var request = HTTPClientRequest(
                url: hook.url, method: "POST",
                headers: [
                    ("Content-Type", "application/json"), ("User-Agent", "anneal-webhooks/1"), ("webhook-id", delivery.id),
                    ("webhook-timestamp", String(seconds)),
                    ("webhook-signature", WebhookSignature.sign(id: delivery.id, seconds: seconds, body: body, key: key)),
                ], body: body, timeout: Self.timeout, responseBytesMax: Self.answerBytesMax)
            request.refusesPrivateAddresses = !allowsPrivate
            do {
                let response = try await client.send(request)
                status = response.status
                if !response.isSuccess { message = "the receiver answered \(response.status)" }
            } catch {
                message = "\(error)"
                if !allowsPrivate {
                    message?.append("; addresses of this machine and of private networks need webhooks_to_private_addresses: true")
                }
            }
        } else {
            message = "the webhook is gone"
        }
        let (id, state, text) = (delivery.id, status, message)
        // 410 says that nobody wants it any more (Standard Webhooks, "Deliverability").
        let isOver = hook == nil || state == 410 || delivery.tries >= Self.pauses.count
        let nextAt = text == nil || isOver ? nil : Timestamp(milliseconds: SystemTime.now()) + Self.pauses[delivery.tries]
        do {
            try await store.write { try $0.settle(delivery: id, isDelivered: text == nil, status: state, message: text, nextAt: nextAt) }
        } catch {
            // It waits in the outbox still, and is sent again: at least once.
            log.error("the end of a delivery cannot be written down", metadata: ["delivery": "\(id)", "error": "\(error)"])
        }
    }
}
