import APITypes
import Domain
import EventLoop
import JSON
import Store

// Webhooks: where events are sent, and what became of them.
extension AnnealService {
    /// Kinds of events that a webhook is told of where it names none.
    public nonisolated static let defaultWebhookTypes = [
        "job.succeeded", "job.failed", "job.cancelled", "job.lost", "experiment.succeeded", "experiment.failed", "experiment.cancelled",
        "alert",
    ]

    /// How long messages that were delivered or given up stay in the list.
    private static let deliveriesKept: Duration = .seconds(30 * 86_400)

    /// Forgets messages that are over for long.
    func forgetDeliveries() async throws {
        let oldest = Timestamp(milliseconds: now.milliseconds - Self.deliveriesKept.milliseconds)
        try await store.write { try $0.deleteDeliveries(before: oldest) }
    }

    /// Makes a webhook. Its secret is in the answer, and in no later one.
    public func createWebhook(url: String, types: [String]?, project: String?, secret: String?) async throws -> WebhookView {
        guard url.hasPrefix("https://") || url.hasPrefix("http://"), url.utf8.count <= 2000, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw ServiceError(.badRequest, "the 'url' of a webhook must be http:// or https://")
        }
        let secret = secret ?? WebhookSignature.makeSecret()
        guard WebhookSignature.key(secret) != nil else {
            throw ServiceError(.badRequest, "a 'secret' is 'whsec_' and base64 of 24 to 64 bytes; leave it out to have one made")
        }
        let hook = WebhookRecord(
            id: identifiers.next(.webhook), url: url, secret: secret, types: types ?? Self.defaultWebhookTypes, project: project,
            createdAt: now)
        try await store.write { writer in
            guard try writer.webhooks().count < ServiceLimits.webhooksMax else {
                throw ServiceError(.conflict, "there are \(ServiceLimits.webhooksMax) webhooks already")
            }
            try writer.insert(webhook: hook)
        }
        return WebhookView(hook, showsSecret: true)
    }

    public func webhooks() async throws -> [WebhookView] {
        try await store.read { try $0.webhooks() }.map { WebhookView($0, showsSecret: false) }
    }

    /// Deletes a webhook; what it was still to be sent is dropped.
    public func deleteWebhook(_ id: String) async throws {
        let moment = now
        guard try await store.write({ try $0.delete(webhook: id, at: moment) }) else { throw ServiceError.missing("webhook", id) }
    }

    /// What was sent to a webhook, newest first.
    public func deliveries(webhook id: String, page: PageRequest) async throws -> APITypes.Page<DeliveryView> {
        let found = try await store.read { reader in
            guard try reader.webhook(id) != nil else { throw ServiceError.missing("webhook", id) }
            return try reader.deliveries(webhook: id, limit: page.limit, after: page.after)
        }
        return APITypes.Page(
            data: found.items.map(DeliveryView.init), hasMore: found.hasMore, next: found.hasMore ? found.items.last?.id : nil)
    }

    /// Sends a message again.
    public func replayDelivery(_ id: String, webhook: String) async throws {
        let moment = now
        guard try await store.write({ try $0.replay(delivery: id, webhook: webhook, at: moment) }) else {
            throw ServiceError.missing("delivery", id)
        }
        webhookSender?.look()
    }

    /// Sends a message that says nothing, to try the receiver.
    public func pingWebhook(_ id: String) async throws {
        let moment = now
        try await store.write { writer in
            guard try writer.webhook(id) != nil else { throw ServiceError.missing("webhook", id) }
            try writer.queueDelivery(
                to: id, kind: "ping", event: try writer.lastEventSeq() * 1000 + moment.milliseconds % 1000, data: [:], at: moment)
        }
        webhookSender?.look()
    }
}

extension WebhookView {
    fileprivate init(_ hook: WebhookRecord, showsSecret: Bool) {
        self.init(
            id: hook.id, url: hook.url, types: hook.types, project: hook.project, createdAt: hook.createdAt.description,
            secret: showsSecret ? hook.secret : nil)
    }
}

extension DeliveryView {
    fileprivate init(_ record: DeliveryRecord) {
        self.init(
            id: record.id, state: record.state.rawValue, tries: record.tries,
            nextAt: record.state == .waiting ? record.nextAt.description : nil,
            status: record.status, message: record.message, createdAt: record.createdAt.description)
    }
}
