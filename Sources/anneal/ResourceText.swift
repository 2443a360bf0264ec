import APITypes
import Terminal

/// Resources as people read them.
enum ResourceText {
    /// Such as `8 GPU · 4 CPU · 16 GiB`, `1–8 GPU · 1 CPU`, `0.5 GPU · 1 CPU` or `2 nodes × 8 GPU · 4 CPU`.
    static func brief(_ resources: ResourcesView) -> String {
        var parts: [String] = []
        if resources.gpuShare > 0 {
            parts.append("\(NumberText.significant(resources.gpuShare)) GPU")
        } else if resources.gpus > 0 {
            parts.append(resources.gpusMax > resources.gpus ? "\(resources.gpus)–\(resources.gpusMax) GPU" : "\(resources.gpus) GPU")
        }
        parts.append("\(resources.cpus) CPU")
        if resources.memoryBytes > 0 { parts.append(NumberText.bytes(resources.memoryBytes)) }
        return (resources.nodes > 1 ? "\(resources.nodes) nodes × " : "") + parts.joined(separator: " · ")
    }
}
