import Datasets
import Glibc
import JSON

/// A record of a vision-language dataset in LLaVA's form: `id`, `image` and `conversations` of `{from: human|gpt, value}`.
struct ConversationRecord {
    /// Bytes of the largest image.
    static let imageBytesMax = 64 << 20
    /// File names' endings, and the part of the sample that each becomes.
    static let imageParts = ["jpg": "jpg", "jpeg": "jpg", "png": "png", "webp": "webp"]
    static let imageToken = "<image>"

    /// The `id` as text; `nil` where there is none.
    var identifier: String?
    /// Relative to the folder of images.
    var image: String?
    /// The conversations as the `json` part has them.
    var turns: JSONValue
    /// Whether the first turn says where the image goes.
    var hasImageToken: Bool

    /// The part that the image becomes.
    var imagePart: String? { image.flatMap(Self.part(of:)) }

    /// Reads a record; what is wrong with it goes to `issues`.
    init?(_ value: JSONValue, line: Int, issues: inout DatasetIssueLog) {
        let before = issues.count
        func fault(_ pointer: String, _ detail: String) { issues.add(DatasetIssue(line: line, pointer: pointer, detail: detail)) }
        switch value["id"] {
        case .string(let text) where !text.isEmpty: identifier = text
        case .int(let number): identifier = String(number)
        case nil, .null: identifier = nil
        case let other?: fault("/id", "must be text or an integer, not \(other)")
        }
        switch value["image"] {
        case nil, .null: image = nil
        case .string(let path): image = path
        case let other?: fault("/image", "must be the path of a file, not \(other.typeName)")
        }
        if let image, let detail = Self.complaint(aboutImage: image) { fault("/image", detail) }
        turns = value["conversations"] ?? .null
        hasImageToken = turns[0]?["value"]?.string?.contains(Self.imageToken) ?? false
        if let list = turns.array, !list.isEmpty {
            for (place, turn) in list.enumerated() {
                let speaker = place % 2 == 0 ? "human" : "gpt"
                if turn["from"]?.string != speaker {
                    fault("/conversations/\(place)/from", "must be '\(speaker)', as human and gpt take turns, not \(turn["from"] ?? .null)")
                }
                if turn["value"]?.string == nil { fault("/conversations/\(place)/value", "must be text") }
            }
            if list.count % 2 != 0 { fault("/conversations", "must end with an answer of gpt's") }
        } else {
            fault("/conversations", "must be a list of turns that is not empty")
        }
        if issues.count > before { return nil }
    }

    /// Why a path is none of an image inside the folder; `nil` where it may be one.
    private static func complaint(aboutImage path: String) -> String? {
        if path.isEmpty || path.hasPrefix("/") || path.utf8.contains(0) || path.split(separator: "/").contains("..") {
            return "must be a path inside the folder of images, not '\(path)'"
        }
        if part(of: path) == nil { return "must be a file of \(imageParts.keys.sorted().joined(separator: ", ")), not '\(path)'" }
        return nil
    }

    private static func part(of path: String) -> String? {
        guard let dot = path.lastIndex(of: ".") else { return nil }
        return imageParts[path[path.index(after: dot)...].lowercased()]
    }

    /// Why the image at `path` cannot be taken; `nil` where it can.
    static func complaint(aboutFile path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return "\(path): \(String(cString: strerror(errno)))" }
        guard status.st_mode & S_IFMT == S_IFREG else { return "\(path) is not a file" }
        guard (1...Self.imageBytesMax).contains(Int(status.st_size)) else {
            return "\(path) has \(status.st_size) bytes; an image has from 1 to \(Self.imageBytesMax)"
        }
        return nil
    }
}
