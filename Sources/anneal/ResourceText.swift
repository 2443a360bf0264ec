import APITypes
import Terminal

/// Resources as people read them.
enum ResourceText {
    /// Such as `8 GPU · 4 CPU · 16 GiB`.
    static func brief(_ resources: ResourcesView) -> String {
        var parts: [String] = []
        if resources.gpus > 0 { parts.append("\(resources.gpus) GPU") }
        parts.append("\(resources.cpus) CPU")
        if resources.memoryBytes > 0 { parts.append(NumberText.bytes(resources.memoryBytes)) }
        return parts.joined(separator: " · ")
    }
}
