import APITypes
import ArgumentParser
import JSON
import Terminal

struct Webhooks: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have the daemon tell other programs of events, and see whether they were reached.",
        discussion: HelpText.discussion(
            """
            Messages are signed as the Standard Webhooks convention says. One that the receiver does not answer with a 2xx status is sent \
            again for some time; 'replay' sends it later still.
            """,
            examples: "anneal webhooks create https://ci.example.com/anneal --event 'job.*'",
            "anneal webhooks deliveries hook_01k9w3c2vn0000a7k3d9m2x5q8"),
        subcommands: [
            WebhooksList.self, WebhooksCreate.self, WebhooksShow.self, WebhooksDelete.self, WebhooksPing.self, WebhooksDeliveries.self,
            WebhooksReplay.self,
        ], defaultSubcommand: WebhooksList.self)

    static let exampleID = "hook_01k9w3c2vn0000a7k3d9m2x5q8"
}

struct WebhooksList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the webhooks.", discussion: HelpText.discussion(examples: "anneal webhooks"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(WebhookListView.self, ["v1", "webhooks"])
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.data.map { hook in
            [
                StyledText(hook.id), StyledText(hook.url), StyledText(hook.types.joined(separator: " ")),
                hook.project.map { StyledText($0) } ?? StyledText("all", .dim), Moment.age(hook.createdAt),
            ]
        }
        let columns: [Table.Column] = [
            .init("ID"), .init("URL", elastic: true), .init("EVENTS", elastic: true), .init("PROJECT"), .init("CREATED"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no webhooks")
    }
}

struct WebhooksCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Have events sent to an address.",
        discussion: HelpText.discussion(
            """
            Prints the secret that signs the messages; it is not shown again. Without --event: the ends of jobs and experiments, \
            and alerts. Addresses of this machine and of private networks are not reached unless the daemon's configuration file says \
            webhooks_to_private_addresses: true.
            """,
            examples: "anneal webhooks create https://ci.example.com/anneal",
            "anneal webhooks create https://ci.example.com/anneal --event 'job.*' --event alert --project vision"))

    @Argument(help: ArgumentHelp("Where to send to: http:// or https://.", valueName: "url"))
    var address: String

    @Option(
        help: ArgumentHelp(
            "A kind of events to send, such as job.failed; may be repeated. * stands for any characters.", valueName: "type"))
    var event: [String] = []

    @Option(help: ArgumentHelp("Only events of this project.", valueName: "name"))
    var project: String?

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard address.hasPrefix("http://") || address.hasPrefix("https://") else {
            throw ValidationError("'\(address)' is no http:// or https:// address to send to")
        }
    }

    func run() throws {
        var body: JSONObject = ["url": .string(address)]
        if !event.isEmpty { body["types"] = .array(event.map(JSONValue.string)) }
        if let project { body["project"] = .string(project) }
        let answer = try shared.client().post(
            WebhookView.self, ["v1", "webhooks"], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: .object(body)))
        if shared.json { return Output.json(answer.body) }
        Output.lines(WebhookSheet.lines(answer.view))
        if let secret = answer.view.secret {
            Output.line(StyledText("secret   ", .dim) + StyledText(secret, .bold))
            Output.complain("anneal: keep the secret, with which the receiver checks what it gets; it is not shown again")
        }
    }
}

struct WebhooksShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one webhook.",
        discussion: HelpText.discussion(examples: "anneal webhooks show \(Webhooks.exampleID)"))

    @Argument(help: ArgumentHelp("Its id.", valueName: "webhook"))
    var webhook: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let list = try shared.client().get(WebhookListView.self, ["v1", "webhooks"]).view.data
        // The API has no request for a single one; there are never many.
        guard let view = list.first(where: { $0.id == webhook }) else {
            throw CommandFailure(.notFound, "there is no webhook '\(webhook)'")
        }
        if shared.json { return Output.json(JSONWriter().bytes(of: try JSONValue(encoding: view))) }
        Output.lines(WebhookSheet.lines(view))
    }
}

struct WebhooksDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete webhooks; what they were still to be sent is dropped.",
        discussion: HelpText.discussion(examples: "anneal webhooks delete \(Webhooks.exampleID)"), aliases: ["rm"])

    @Argument(help: ArgumentHelp("Ids of webhooks.", valueName: "webhook"))
    var webhooks: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        for webhook in webhooks {
            _ = try client.send("DELETE", ["v1", "webhooks", webhook])
            if !shared.json { Output.write("\(webhook): deleted\n") }
        }
    }
}

struct WebhooksPing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Send a message that says nothing, to try the receiver.",
        discussion: HelpText.discussion(
            "What became of it is told by 'anneal webhooks deliveries'.", examples: "anneal webhooks ping \(Webhooks.exampleID)"))

    @Argument(help: ArgumentHelp("Its id.", valueName: "webhook"))
    var webhook: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        _ = try shared.client().send("POST", ["v1", "webhooks", webhook, "ping"])
        if !shared.json { Output.write("\(webhook): will be sent a ping\n") }
    }
}

struct WebhooksDeliveries: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "List what was sent to a webhook, the newest first, and what came of it.",
        discussion: HelpText.discussion(examples: "anneal webhooks deliveries \(Webhooks.exampleID) --limit 10"))

    @Argument(help: ArgumentHelp("Its id.", valueName: "webhook"))
    var webhook: String

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().list(DeliveryView.self, ["v1", "webhooks", webhook, "deliveries"], options: options)
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.map { delivery in
            [
                StyledText(delivery.id), Self.state(delivery.state), StyledText("\(delivery.tries)"),
                delivery.status.map { StyledText("\($0)") } ?? StyledText("–", .dim), Moment.age(delivery.createdAt),
                Moment.age(delivery.nextAt), StyledText(delivery.message ?? ""),
            ]
        }
        let columns: [Table.Column] = [
            .init("ID"), .init("STATE"), .init("TRIES", .right), .init("STATUS", .right), .init("CREATED"), .init("NEXT TRY"),
            .init("MESSAGE", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "nothing was sent yet")
    }

    private static func state(_ state: String) -> StyledText {
        switch state {
        case "delivered": StyledText(state, .green)
        case "failed": StyledText(state, .red)
        default: StyledText(state)
        }
    }
}

struct WebhooksReplay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Send messages again, under the ids that they had.",
        discussion: HelpText.discussion(
            "Ids of messages stand in 'anneal webhooks deliveries'.", examples: "anneal webhooks replay \(Webhooks.exampleID) MESSAGE"))

    @Argument(help: ArgumentHelp("The webhook's id.", valueName: "webhook"))
    var webhook: String

    @Argument(help: ArgumentHelp("Ids of messages.", valueName: "message"))
    var deliveries: [String]

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        for delivery in deliveries {
            _ = try client.send("POST", ["v1", "webhooks", webhook, "deliveries", delivery, "replay"])
            if !shared.json { Output.write("\(delivery): will be sent again\n") }
        }
    }
}

/// A webhook as facts below each other.
private enum WebhookSheet {
    static func lines(_ hook: WebhookView) -> [StyledText] {
        var facts = FactSheet()
        facts.add("url", text: hook.url)
        facts.add("events", text: hook.types.joined(separator: " "))
        facts.add("project", text: hook.project ?? "all")
        facts.add("created", Moment.age(hook.createdAt) + StyledText("  \(hook.createdAt)", .dim))
        return [StyledText(hook.id, .bold)] + facts.lines
    }
}
