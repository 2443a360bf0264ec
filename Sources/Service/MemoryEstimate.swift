import Domain
import JSON

/// What a training is expected to take of each GPU's memory at its peak, told before the start and always as an estimate.
///
/// Counted are what lies there between steps (weights, gradients, AdamW's two moments: ZeRO, arXiv 1910.02054, section 3.1) and what a
/// forward pass leaves for the backward pass (the way of counting is that of Korthikanti et al., arXiv 2205.05198, section 4.1, for the
/// operations of a Llama block in transformers, with attention that keeps no matrix of scores). The trainer reports PyTorch's real peak as
/// `gpu/peak_memory_gb`.
struct MemoryEstimate: Sendable, Equatable {
    /// How copies or parts of the model lie on the GPUs.
    enum Strategy: String, Sendable {
        case none, ddp, fsdp
    }

    /// What the estimate goes by, of a job's `params` and resources.
    struct Training: Sendable {
        /// Processes, one for each GPU.
        var gpus = 1
        /// Tokens of one forward pass: micro-batch × sequences of a sample × length.
        var tokens = 1024
        var is16Bit = true
        var recomputes = false
        /// The rank of adapters; `nil` where all weights are trained.
        var adapterRank: Int?
        /// `auto`, or what the spec asks for.
        var parallel = "auto"
        var offloads = false
        /// Whether a frozen float32 copy of the model is the reference of preference training.
        var hasReference = false
        /// Bytes of AdamW's two moments for each trained parameter: 8 in float32, 2 in 8 bits.
        var momentBytes = 8
        /// Memory of the smallest GPU that may be given; 0 where it is not known.
        var deviceBytes: Int64 = 0
    }

    var strategy: Strategy
    /// Bytes on each GPU.
    var weights: Int
    var gradients: Int
    var optimizer: Int
    /// What FSDP gathers of other GPUs, and DDP's buckets.
    var gathered: Int
    var activations: Int
    var logits: Int

    var total: Int { weights + gradients + optimizer + gathered + activations + logits }

    init(_ shape: ModelShape, _ training: Training) {
        let all = shape.parameters
        let trained = training.adapterRank.map { shape.adapterParameters(rank: $0) } ?? all
        // Under adapters the frozen weights are kept in the precision that is computed in; trained weights are float32.
        let frozen = training.adapterRank == nil ? 0 : all * (training.is16Bit ? 2 : 4)
        strategy = Self.strategy(training, trained: trained, frozen: frozen)
        let shards = strategy == .fsdp ? training.gpus : 1
        let isKept = !(strategy == .fsdp && training.offloads)
        weights = isKept ? (4 * trained + frozen + (training.hasReference ? 4 * all : 0)) / shards : 0
        gradients = isKept ? 4 * trained / shards : 0
        optimizer = isKept ? training.momentBytes * trained / shards : 0
        // 16-bit copies of the weights live until the backward pass is through with them; sharded, of two blocks and the embeddings.
        let copied = training.adapterRank == nil && training.is16Bit ? 2 * all : 0
        let width = training.is16Bit ? 2 : 4
        switch strategy {
        case .none: gathered = copied
        case .ddp: gathered = copied + 4 * trained
        case .fsdp: gathered = width * (2 * shape.blockParameters + shape.embeddingParameters) + 4 * shape.blockParameters
        }
        let block = Self.activationBytes(of: shape, is16Bit: training.is16Bit)
        // With recomputation each block leaves its input alone, and one block at a time has all of its own.
        activations = training.tokens * (training.recomputes ? 4 * shape.hidden * shape.layers + block : block * shape.layers)
        // Logits in the precision computed in, in float32, their softmax and its gradient.
        logits = training.tokens * shape.vocabulary * (width + 12)
    }

    /// The rule of `parallel.choose` in the trainer: a whole copy on each GPU where it takes at most half of one.
    private static func strategy(_ training: Training, trained: Int, frozen: Int) -> Strategy {
        if let asked = Strategy(rawValue: training.parallel) { return asked }
        if training.gpus <= 1 { return .none }
        return Int64((12 + training.momentBytes) * trained + frozen) * 2 <= training.deviceBytes || training.deviceBytes == 0 ? .ddp : .fsdp
    }

    /// Bytes that a block keeps of each token: inputs of norms and of linear layers, queries, keys and values, gate, its activation and
    /// the product.
    private static func activationBytes(of shape: ModelShape, is16Bit: Bool) -> Int {
        let wide = shape.intermediate * shape.activeExperts
        // In 16 bits: two norms keep input and output in float32, five inputs of linear layers are cast one by one.
        return is16Bit
            ? 16 * shape.hidden + 10 * shape.hidden + 4 * shape.queries + 4 * shape.keys + 8 * wide
            : 16 * shape.hidden + 8 * shape.queries + 8 * shape.keys + 16 * wide
    }
}

extension MemoryEstimate {
    /// The estimate in words, such as "estimate: 29 GiB per GPU of 80 (ddp over 8): weights 4.6, …"; sizes in GiB.
    func text(gpus: Int, deviceBytes: Int64) -> String {
        let of = deviceBytes > 0 ? " of \(Self.gib(Int(deviceBytes)))" : ""
        let spread = gpus > 1 ? " (\(strategy.rawValue) over \(gpus))" : ""
        let parts = [
            ("weights", weights), ("gradients", gradients), ("optimizer", optimizer), ("gathered weights and buckets", gathered),
            ("activations", activations), ("logits", logits),
        ]
        let told = parts.filter { $0.1 > 0 }.map { "\($0.0) \(Self.gib($0.1))" }.joined(separator: ", ")
        return "estimate: \(Self.gib(total)) GiB per GPU\(of)\(spread): \(told)"
    }

    /// True where it is more than the GPU has beside what CUDA itself takes.
    func isTooMuch(for deviceBytes: Int64) -> Bool { deviceBytes > 0 && Int64(total) > deviceBytes - Self.contextBytes }

    /// A CUDA context with its kernels, as measured on an H100 (0.6 GB), and some for what the allocator cannot fill.
    private static let contextBytes: Int64 = 1 << 30

    /// One decimal below ten, none above.
    private static func gib(_ bytes: Int) -> String {
        let tenths = (Double(bytes) / Double(1 << 30) * 10).rounded() / 10
        return tenths < 10 ? tenths.description : String(Int(tenths.rounded()))
    }
}
