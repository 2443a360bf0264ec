/// What the lengths of a plan were measured with and on; a plan is void for any other dataset or tokenizer.
public struct PackingProvenance: Sendable, Equatable {
    /// SHA-256 of the tokenizer's files and its chat template, in lower-case hexadecimal.
    public var tokenizerHash: String?
    /// SHA-256 of the dataset's file, likewise.
    public var datasetHash: String?

    public init(tokenizerHash: String? = nil, datasetHash: String? = nil) {
        self.tokenizerHash = tokenizerHash
        self.datasetHash = datasetHash
    }

    /// Throws where a hash is none.
    func check(line: Int?) throws(PackingError) {
        for (name, hash) in [("tokenizer_sha256", tokenizerHash), ("dataset_sha256", datasetHash)] {
            guard let hash else { continue }
            let isHash =
                hash.utf8.count == 64
                && hash.utf8.allSatisfy { ("0"..."9").contains(UnicodeScalar($0)) || ("a"..."f").contains(UnicodeScalar($0)) }
            guard isHash else {
                throw PackingError(.badData, "\(name) must be 64 hexadecimal digits in lower case, not '\(hash)'", line: line)
            }
        }
    }
}
