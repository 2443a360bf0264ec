import JSON
import Testing

@testable import Service

@Suite struct MemoryEstimateTests {
    /// The config.json of Llama 3.2 1B, as far as it counts.
    private static let llama: JSONObject = [
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "vocab_size": 128_256, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": true,
    ]
    private let shape = ModelShape(.object(Self.llama))

    @Test func parametersAreThoseOfTheModel() throws {
        let shape = try #require(shape)
        #expect(shape.parameters == 1_235_814_400)
        // As PEFT counts them with rank 8 on all linear layers.
        #expect(shape.adapterParameters(rank: 8) == 5_636_096)
        var eight = Self.llama
        for (name, value) in [("hidden_size", 4096), ("intermediate_size", 14_336), ("num_hidden_layers", 32)] {
            eight[name] = .int(Int64(value))
        }
        eight["head_dim"] = nil
        eight["tie_word_embeddings"] = false
        #expect(ModelShape(.object(eight))?.parameters == 8_030_261_248)
    }

    @Test func aMixtureOfExpertsCountsAllOfThemAndComputesFew() throws {
        var mixture = Self.llama
        mixture["num_local_experts"] = 8
        mixture["num_experts_per_tok"] = 2
        let (dense, sparse) = (try #require(shape), try #require(ModelShape(.object(mixture))))
        #expect(sparse.parameters - dense.parameters == 16 * (7 * 3 * 2048 * 8192 + 2048 * 8))
        #expect(sparse.activeExperts == 2)
    }

    @Test func ofWhatIsNoDecoderNothingIsSaid() {
        #expect(ModelShape(["n_embd": 768]) == nil)
        #expect(
            ModelShape(["hidden_size": -1, "num_hidden_layers": 2, "vocab_size": 9, "num_attention_heads": 1, "intermediate_size": 4])
                == nil)
        #expect(ModelShape(["text_config": .object(Self.llama)])?.parameters == 1_235_814_400)
    }

    @Test func aWholeCopyTakesSixteenBytesAParameterAndShardsTheirPart() throws {
        let shape = try #require(shape)
        var training = MemoryEstimate.Training(gpus: 1, deviceBytes: 80 << 30)
        let alone = MemoryEstimate(shape, training)
        #expect(alone.strategy == .none)
        #expect(alone.weights + alone.gradients + alone.optimizer == 16 * shape.parameters)
        (training.gpus, training.parallel) = (8, "fsdp")
        let sharded = MemoryEstimate(shape, training)
        #expect(sharded.weights + sharded.gradients + sharded.optimizer == 16 * shape.parameters / 8)
        #expect(sharded.activations == alone.activations)
        training.offloads = true
        let offloaded = MemoryEstimate(shape, training)
        #expect(offloaded.weights + offloaded.gradients + offloaded.optimizer == 0)
    }

    @Test func autoShardsWhatWouldFillMoreThanHalfOfAGPU() throws {
        let shape = try #require(shape)
        // 20 bytes × 1.24 × 10⁹ parameters are 23.0 GiB.
        for (gib, strategy) in [(47, MemoryEstimate.Strategy.ddp), (46, .fsdp)] {
            #expect(MemoryEstimate(shape, .init(gpus: 2, deviceBytes: Int64(gib) << 30)).strategy == strategy)
        }
        #expect(MemoryEstimate(shape, .init(gpus: 2, adapterRank: 8, deviceBytes: 8 << 30)).strategy == .ddp)
    }

    @Test func recomputationAndAdaptersTakeLess() throws {
        let shape = try #require(shape)
        let whole = MemoryEstimate(shape, .init(tokens: 8192))
        #expect(MemoryEstimate(shape, .init(tokens: 8192, recomputes: true)).activations * 5 < whole.activations)
        #expect(MemoryEstimate(shape, .init(tokens: 16_384)).activations == 2 * whole.activations)
        let adapters = MemoryEstimate(shape, .init(tokens: 8192, adapterRank: 8))
        #expect(adapters.weights == 2 * shape.parameters + 4 * 5_636_096)
        #expect(adapters.optimizer == 8 * 5_636_096)
    }

    @Test func momentsOfEightBitsTakeAQuarterAndAReferenceACopyMore() throws {
        let shape = try #require(shape)
        let small = MemoryEstimate(shape, .init(momentBytes: 2))
        #expect(small.optimizer == 2 * shape.parameters)
        // 14 bytes × 1.24 × 10⁹ parameters are 16.1 GiB.
        for (gib, strategy) in [(33, MemoryEstimate.Strategy.ddp), (32, .fsdp)] {
            #expect(MemoryEstimate(shape, .init(gpus: 2, momentBytes: 2, deviceBytes: Int64(gib) << 30)).strategy == strategy)
        }
        #expect(MemoryEstimate(shape, .init(hasReference: true)).weights == 8 * shape.parameters)
    }

    @Test func theTextSaysThatItIsAnEstimate() throws {
        let estimate = MemoryEstimate(try #require(shape), .init(gpus: 8, tokens: 1024, parallel: "ddp", deviceBytes: 80 << 30))
        let text = estimate.text(gpus: 8, deviceBytes: 80 << 30)
        #expect(text.hasPrefix("estimate: 29 GiB per GPU of 80 (ddp over 8): weights 4.6, gradients 4.6, optimizer 9.2, "))
        #expect(!estimate.isTooMuch(for: 80 << 30) && estimate.isTooMuch(for: 29 << 30) && !estimate.isTooMuch(for: 0))
    }
}
