import Generation
import JSON

/// What `transformers serve` needs to be told to sample at all.
///
/// It takes a request's temperature but leaves `do_sample` to the model's own generation settings, which are greedy where the
/// model brings none: all samples would be the same answer.
enum SamplingExtension {
    private static let tokenKeys = ["bos_token_id", "eos_token_id", "pad_token_id"]

    /// The further members of a generation's requests, those of its spec included.
    static func extra(model folder: String, _ settings: GenerationSettings) -> JSONObject {
        let sampling = SamplingSettings(maxTokens: settings.maxTokens ?? 2048, temperature: settings.temperature)
        return members(model: folder, settings: sampling).merging(settings.extra) { $1 }
    }

    /// Further members of a request to `transformers serve` for the model in `folder`; none where they are not needed.
    static func members(model folder: String, settings: SamplingSettings) -> JSONObject {
        guard settings.temperature > 0 else { return [:] }
        var configuration = JSONObject()
        // A model without these files will be refused by the server itself, with a better message.
        if let own = try? WorkerContext.readDocument(folder + "/generation_config.json").object {
            if own["do_sample"] == true { return [:] }
            configuration = own
            // The same holds for this file.
        } else if let model = try? WorkerContext.readDocument(folder + "/config.json").object {
            for key in tokenKeys { configuration[key] = model[key] }
        }
        for key in ["transformers_version", "_from_model_config"] { configuration[key] = nil }
        configuration["do_sample"] = true
        configuration["max_new_tokens"] = .int(Int64(settings.maxTokens))
        return ["generation_config": .string(JSONValue.object(configuration).text())]
    }
}
