import EventLoop
import Domain
import Glibc
import Logging

/// Writes log records to standard error, one line each: time, level, message, then `key=value`.
struct LogLine: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let time = Timestamp(milliseconds: SystemTime.now())
        let merged = metadata.merging(event.metadata ?? [:]) { _, own in own }
        let pairs = merged.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.value($0.value))" }.joined()
        let line = Array("\(time) \(event.level) \(event.message)\(pairs)\n".utf8)
        // One write a line, so that lines of several threads do not mix; a log that cannot be written has nobody to tell.
        _ = write(STDERR_FILENO, line, line.count)
    }

    private static func value(_ value: Logger.Metadata.Value) -> String {
        let text = value.description
        guard text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" || $0.isNewline }) || text.isEmpty else { return text }
        return "\"" + text.map { $0 == "\"" ? "\\\"" : $0.isNewline ? "\\n" : String($0) }.joined() + "\""
    }
}
