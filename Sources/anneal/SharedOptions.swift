import ArgumentParser

/// Options that every command has.
struct SharedOptions: ParsableArguments {
    @Flag(help: "Print the API's JSON as it came.")
    var json = false

    @Option(help: ArgumentHelp("The daemon's address, in place of ANNEAL_URL.", valueName: "url"))
    var url: String?

    /// A client for the daemon that the options and the environment name.
    func client() throws -> APIClient {
        let endpoint = try Endpoint(url ?? Environment.value("ANNEAL_URL") ?? Endpoint.standard)
        return APIClient(endpoint: endpoint, token: Environment.value("ANNEAL_TOKEN"))
    }
}

/// Options of the commands that print lists.
struct ListOptions: ParsableArguments {
    @Option(help: "The most entries to print.")
    var limit = 50

    @Flag(help: "Print all entries, however many.")
    var all = false

    func validate() throws {
        guard limit >= 1 else { throw ValidationError("--limit must be at least 1") }
    }
}

/// The text below a command's options in its help.
enum HelpText {
    private static let exitCodes = """
        EXIT CODES:
          0 done, 1 job failed, 2 wrong usage or spec, 3 not found, 4 conflict,
          5 daemon unreachable
        """

    static func discussion(_ text: String = "", examples: String...) -> String {
        let examples = "EXAMPLES:\n" + examples.map { "  \($0)" }.joined(separator: "\n")
        return ([text, examples, exitCodes].filter { !$0.isEmpty }).joined(separator: "\n\n")
    }
}
