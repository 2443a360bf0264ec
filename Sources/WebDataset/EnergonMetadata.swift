import Datasets
import JSON

/// Writes the folder `.nv-meta` that Megatron-Energon reads before it reads a shard.
///
/// | file | content | source |
/// |---|---|---|
/// | `dataset.yaml` | sample type `VQASample`, its loader and part filter | `tools/prepare.py`, 4.0 and later |
/// | `sample_loader.py` | `sample_loader(raw)` and `part_filter(part)` as in S1 | S1; see below |
/// | `split.yaml` | `exclude`, `split_parts` with the names of shards | `structs.py`, `WebdatasetSplits` |
/// | `.info.json`, `.info.yaml` | `shard_counts` | `structs.py`; up to 6.0 the second, then the first |
/// | `index.sqlite` | samples and parts | `indexing.py`, 6.0 and later |
/// | `index.uuid` | names the state of the index | `prepare.py`, 6.0 and later |
///
/// Beside each shard stands its index, such as `instruction-0.tar.idx` (`itar.py`). Uncertain upstream: `VQASample.context` is declared
/// as text, and S1's loader gives the list of all human turns, which its task encoder expects; this loader does as S1's.
/// `energon_version` is left out of the info, as releases before 7.1 refuse it and none needs it. Shards' names are written out where
/// 7.3 and later write ranges in braces; all releases read both. The UUID is drawn upstream; here it follows from the shards' content,
/// so that equal folders are equal. Read with releases 5.2.0 and 7.4.1, whose own `prepare` finds the same index.
struct EnergonMetadata {
    static let folderName = ".nv-meta"

    var shards: [Shard]
    var split: EnergonSplit
    /// Parts that samples have, such as `jpg` and `json`.
    var parts: [String]

    /// Writes everything; `folder` is that of the shards, in which `.nv-meta` exists already.
    func write(folder: String) throws {
        let metadata = "\(folder)/\(Self.folderName)"
        for shard in shards { try write(shard.offsets, "\(folder)/\(shard.name).idx") }
        try EnergonIndex.write(shards, path: metadata + "/index.sqlite")
        try write(Array(uuid.utf8), metadata + "/index.uuid")
        let counts = shards.map { ($0.name, JSONValue.int(Int64($0.samples.count))) }
        let info: JSONValue = ["shard_counts": .object(JSONObject(uniqueKeysWithValues: counts))]
        try write(JSONWriter(layout: .pretty).bytes(of: info), metadata + "/.info.json")
        let lines = shards.map { "  \($0.name): \($0.samples.count)\n" }
        try write(Array(("shard_counts:\n" + lines.joined()).utf8), metadata + "/.info.yaml")
        try write(Array(split.yaml.utf8), metadata + "/split.yaml")
        try write(Array(Self.dataset.utf8), metadata + "/dataset.yaml")
        try write(Array(loader.utf8), metadata + "/sample_loader.py")
    }

    private func write(_ content: [UInt8], _ path: String) throws(FileError) {
        let file = try DatasetWriter(path: path)
        try file.append(bytes: content)
        _ = try file.finish()
    }

    private static let dataset = """
        sample_type:
          __module__: megatron.energon
          __class__: VQASample
        sample_loader: sample_loader.py:sample_loader
        part_filter: sample_loader.py:part_filter

        """

    private var loader: String {
        let images = parts.filter { $0 != "json" }
        let quoted = parts.map { "\"\($0)\"" }.joined(separator: ", ")
        let image =
            images.count == 1 ? "raw[\"\(images[0])\"]" : "next(raw[part] for part in PARTS if part != \"json\" and part in raw)"
        return """
            \"\"\"How Energon makes a VQASample of a sample of these shards.\"\"\"

            PARTS = (\(quoted))


            def sample_loader(raw: dict) -> dict:
                turns = raw["json"]
                return dict(
                    image=\(image),
                    context=[turn["value"] for turn in turns if turn["from"] == "human"],
                    answers=[turn["value"] for turn in turns if turn["from"] == "gpt"],
                )


            def part_filter(part: str) -> bool:
                return part in PARTS

            """
    }

    /// A UUID of version 8 (RFC 9562 section 5.8) made of the shards' names and hashes.
    private var uuid: String {
        let content = shards.map { "\($0.name) \($0.file.sha256)\n" }.joined()
        var digits = Array(ContentHash.sha256(of: Array(content.utf8)).utf8.prefix(32))
        digits[12] = UInt8(ascii: "8")
        digits[16] = UInt8(ascii: "8")
        let text = String(decoding: digits, as: UTF8.self)
        var groups: [Substring] = []
        var rest = text[...]
        for length in [8, 4, 4, 4, 12] {
            groups.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return groups.joined(separator: "-")
    }
}
