import Domain
import JSON

extension EventRecord {
    /// What webhooks call it: `job.failed`, `experiment.succeeded`, `attempt.running`, or its type.
    public var kind: String {
        guard type == "state", let state = payload["state"]?.string else { return type }
        return (attemptID != nil ? "attempt." : jobID != nil ? "job." : "experiment.") + state
    }
}

extension ReadTransaction {
    /// Every webhook that was not deleted.
    public func webhooks() throws -> [WebhookRecord] {
        try rows("SELECT \(WebhookRecord.columns) FROM webhook WHERE deleted_at_ms IS NULL ORDER BY id") { try WebhookRecord(&$0) }
    }

    public func webhook(_ id: String) throws -> WebhookRecord? { try webhooks().first { $0.id == id } }

    /// What was sent to a webhook, newest first.
    public func deliveries(webhook: String, limit: Int, after: String? = nil) throws -> Page<DeliveryRecord> {
        var conditions = Conditions()
        conditions.add("webhook_id", equals: webhook)
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(DeliveryRecord.columns) FROM webhook_delivery\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try DeliveryRecord(&$0) }
    }

    /// What is to be sent by now, the longest due first.
    public func dueDeliveries(at moment: Timestamp, limit: Int) throws -> [DeliveryRecord] {
        try rows(
            """
            SELECT \(DeliveryRecord.columns) FROM webhook_delivery WHERE state = 'waiting' AND next_at_ms <= ? ORDER BY next_at_ms LIMIT ?
            """, [moment.milliseconds, limit]
        ) { try DeliveryRecord(&$0) }
    }
}

extension WriteTransaction {
    public func insert(webhook: WebhookRecord) throws {
        try execute(
            "INSERT INTO webhook (\(WebhookRecord.columns)) VALUES (?, ?, ?, ?, ?, ?)", webhook.id, webhook.url, webhook.secret,
            JSONValue.array(webhook.types.map(JSONValue.string)).text(), webhook.project, webhook.createdAt.milliseconds)
    }

    /// Deletes a webhook and what it was still to be sent. False where there is none.
    public func delete(webhook id: String, at: Timestamp) throws -> Bool {
        try execute("DELETE FROM webhook_delivery WHERE webhook_id = ?", id)
        return try change("UPDATE webhook SET deleted_at_ms = ? WHERE id = ? AND deleted_at_ms IS NULL", [at.milliseconds, id]) > 0
    }

    /// Puts an event into the outbox of each webhook that wants it; in the event's own transaction, so that none is lost.
    func queueDeliveries(of event: EventRecord) throws {
        let hooks = try webhooks()
        guard !hooks.isEmpty else { return }
        let kind = event.kind
        var project: String?
        for hook in hooks where hook.wants(kind) {
            if let wanted = hook.project {
                if project == nil { project = try event.experimentID.flatMap { try projectName(ofExperiment: $0) } ?? "" }
                guard project == wanted else { continue }
            }
            try queueDelivery(to: hook.id, kind: kind, event: event.seq, data: document(event), at: event.at)
        }
    }

    /// Puts a message into a webhook's outbox.
    public func queueDelivery(to webhook: String, kind: String, event: Int64, data: JSONValue, at: Timestamp) throws {
        let digits = String(event)
        // Sorts by the event, and is the same for a message that is sent again.
        let id = "msg_" + String(repeating: "0", count: max(0, 16 - digits.count)) + digits + webhook.dropFirst(5)
        let body: JSONValue = ["type": .string(kind), "timestamp": .string(at.description), "data": data]
        try execute(
            """
            INSERT INTO webhook_delivery (id, webhook_id, event_seq, body, state, next_at_ms, created_at_ms)
            VALUES (?, ?, ?, ?, 'waiting', ?, ?)
            """, id, webhook, event, body.text(), at.milliseconds, at.milliseconds)
    }

    private func document(_ event: EventRecord) -> JSONValue {
        [
            "seq": .int(event.seq), "experiment_id": JSONValue(event.experimentID), "job_id": JSONValue(event.jobID),
            "attempt_id": JSONValue(event.attemptID), "event": event.payload,
        ]
    }

    /// Notes how sending went. `nextAt` is when it is tried again; `nil` where it arrived or is given up.
    public func settle(delivery id: String, isDelivered: Bool, status: Int?, message: String?, nextAt: Timestamp?) throws {
        try execute(
            """
            UPDATE webhook_delivery SET tries = tries + 1, state = ?, status = ?, message = ?, next_at_ms = coalesce(?, next_at_ms)
            WHERE id = ? AND state = 'waiting'
            """, isDelivered ? "delivered" : nextAt == nil ? "failed" : "waiting", status, message, nextAt?.milliseconds, id)
    }

    /// Sends a message again. False where there is none.
    public func replay(delivery id: String, webhook: String, at: Timestamp) throws -> Bool {
        try change(
            "UPDATE webhook_delivery SET state = 'waiting', tries = 0, next_at_ms = ? WHERE id = ? AND webhook_id = ?",
            [at.milliseconds, id, webhook]) > 0
    }

    /// Forgets what was settled before a moment.
    public func deleteDeliveries(before moment: Timestamp) throws {
        try execute("DELETE FROM webhook_delivery WHERE state <> 'waiting' AND created_at_ms < ?", moment.milliseconds)
    }
}
