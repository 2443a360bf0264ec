import Domain

extension ServerEngine {
    /// Where the program of an engine is.
    enum Program: Sendable {
        /// A file beside the interpreter, or in the PATH.
        case named(String)
        /// A module that the interpreter runs; its arguments name it.
        case module
    }

    /// How an engine is started, and what it is like.
    struct Template: Sendable {
        var program: Program
        /// What stands before host, port and flags.
        var arguments: [String]
        /// How to get the program.
        var installation: String
        /// The flag that gives the model another name for requests.
        var aliasFlag: String?
        /// Whether its list of models holds the one that it serves, and only that.
        var listsItsModel = true
        /// Whether it calls a model by the last part of its path.
        var listsLastPart = false
        /// The flag that limits how many requests it works on at once; `nil` where only its clients can send fewer.
        var limitFlag: String?
        /// That limit once the engine's own default has run out of memory.
        var limitAfterOutOfMemory = 16
    }

    /// Stands for the model in `Template.arguments`.
    static let modelPlace = "{model}"

    var template: Template {
        switch self {
        case .transformers:
            // It lists the models of the hub's cache, and serves whatever path is asked for.
            Template(
                program: .named("transformers"), arguments: ["serve", Self.modelPlace], installation: "pip install 'transformers[serving]'",
                listsItsModel: false)
        case .vllm:
            Template(
                program: .named("vllm"), arguments: ["serve", Self.modelPlace], installation: "pip install vllm",
                aliasFlag: "served-model-name", limitFlag: "max-num-seqs")
        case .sglang:
            Template(
                program: .module, arguments: ["-m", "sglang.launch_server", "--model-path", Self.modelPlace],
                installation: "pip install sglang", aliasFlag: "served-model-name", limitFlag: "max-running-requests")
        case .trtllm:
            Template(
                program: .named("trtllm-serve"), arguments: [Self.modelPlace], installation: "pip install tensorrt-llm",
                listsLastPart: true, limitFlag: "max_batch_size")
        case .llamaServer:
            // Its default is few requests already.
            Template(
                program: .named("llama-server"), arguments: ["-m", Self.modelPlace], installation: "build llama.cpp", aliasFlag: "alias",
                limitFlag: "parallel", limitAfterOutOfMemory: 1)
        }
    }
}
