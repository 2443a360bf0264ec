import APITypes
import ArgumentParser
import JSON
import Terminal

struct Tokens: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, show and revoke the tokens that others call the daemon with.",
        discussion: HelpText.discussion(
            """
            A token of scope 'read' looks, 'submit' also submits and controls, 'admin' also changes what all share. One that is limited to \
            projects sees and touches only theirs.
            """,
            examples: "anneal tokens create ci --scope submit --project vision --expires 90d", "anneal tokens", "anneal tokens revoke ci"),
        subcommands: [TokenList.self, TokenCreate.self, TokenRevoke.self], defaultSubcommand: TokenList.self)
}

struct TokenList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the tokens, what they allow and when they were last used.",
        discussion: HelpText.discussion(examples: "anneal tokens", "anneal tokens list --all"))

    @Flag(help: "Also those that were revoked or have expired.")
    var all = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(TokenListView.self, ["v1", "tokens"])
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.data.filter { all || $0.state == "active" }.map { token in
            [
                StyledText(token.name), StyledText(token.scope), StyledText(token.projects?.joined(separator: ", ") ?? "all"),
                StyledText(token.state), Moment.age(token.createdAt), StyledText(token.expiresAt.map { String($0.prefix(10)) } ?? "never"),
                Moment.age(token.lastUsedAt), StyledText(token.id),
            ]
        }
        let columns: [Table.Column] = [
            .init("NAME", elastic: true), .init("SCOPE"), .init("PROJECTS"), .init("STATE"), .init("MADE"), .init("EXPIRES"),
            .init("LAST USED"), .init("ID"),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "no tokens")
    }
}

struct TokenCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token. It is printed once, and kept nowhere.",
        discussion: HelpText.discussion(
            examples: "anneal tokens create ci --scope submit --project vision --expires 90d",
            "ANNEAL_TOKEN=$(anneal tokens create grafana --scope read --quiet)"))

    @Argument(help: ArgumentHelp("A name for it.", valueName: "name"))
    var name: String

    @Option(help: ArgumentHelp("What it allows.", valueName: "read|submit|admin"))
    var scope: String

    @Option(help: ArgumentHelp("A project that it is limited to; may be given several times.", valueName: "project"))
    var project: [String] = []

    @Option(help: ArgumentHelp("How long it is good for, such as 90d; left out: until it is revoked.", valueName: "duration"))
    var expires: String?

    @Flag(help: "Print the token and nothing else.")
    var quiet = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard ["read", "submit", "admin"].contains(scope) else { throw ValidationError("--scope must be read, submit or admin") }
    }

    func run() throws {
        var body: JSONObject = ["name": .string(name), "scope": .string(scope)]
        if !project.isEmpty { body["projects"] = .array(project.map(JSONValue.string)) }
        if let expires { body["expires_in"] = .string(expires) }
        let answer = try shared.client().post(
            TokenView.self, ["v1", "tokens"], headers: [("Content-Type", "application/json")],
            body: JSONWriter().bytes(of: .object(body)))
        if shared.json { return Output.json(answer.body) }
        let token = answer.view.token ?? ""
        if quiet { return Output.write(token + "\n") }
        Output.write(
            "\(token)\n\nThis is the only time that the token is shown. Use it as ANNEAL_TOKEN, or as 'Authorization: Bearer …'.\n")
    }
}

struct TokenRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a token out of force at once; streams that it opened end.",
        discussion: HelpText.discussion(examples: "anneal tokens revoke ci"))

    @Argument(help: ArgumentHelp("Its name or its id.", valueName: "token"))
    var token: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let answer = try client.decode(try client.send("DELETE", ["v1", "tokens", token]), as: TokenView.self)
        if shared.json { Output.json(answer.body) } else { Output.write("\(answer.view.name): revoked\n") }
    }
}
