/// The programs that Anneal can start as a model server.
public enum ServerEngine: String, Sendable, CaseIterable {
    case transformers, vllm, sglang, trtllm
    case llamaServer = "llama-server"

    /// Their names in a spec, for people.
    public static let list = allCases.map(\.rawValue).joined(separator: ", ")
}
