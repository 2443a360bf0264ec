import Domain

extension ParameterSchema {
    /// How a server is started, for every kind that starts one.
    static let serverStart: [ParameterSchema] = [
        ParameterSchema("engine", .choice(ServerEngine.allCases.map(\.rawValue)), "The server to start."),
        ParameterSchema("args", .map(keys: .flag, .either([.scalar, .list(.scalar, count: 1...SpecLimits.mapCountMax)])), "Its flags."),
        ParameterSchema(
            "startup_timeout", .duration(.milliseconds(1)...SpecLimits.graceMax), default: "120s", "How long it may take to be ready."),
        ParameterSchema("env", .map(keys: .variable, .scalar), "Environment variables of the server alone."),
    ]

    /// What stands in the place of `serverStart` in a job that asks the server of another.
    static let serverJob = ParameterSchema(
        "job", .text(bytesMax: 100), "The job of kind 'serve' of this experiment that answers; it is started when it is needed.")

    private static let requiredEngine = ParameterSchema(
        required: "engine", .choice(ServerEngine.allCases.map(\.rawValue)), "The server to start.")

    static let serveTable: [ParameterSchema] = [
        ParameterSchema(required: "model", .model, "The model to serve."),
        ParameterSchema(required: "server", .object([requiredEngine] + serverStart.dropFirst()), "The 'engine' to start, and how."),
        ParameterSchema(
            "linger", .duration(.zero...SpecLimits.graceMax), default: "30s",
            "How long the server is kept while no job that uses it runs or is ready; without such jobs in the spec it is kept until it is cancelled."
        ),
    ]
}
