import Domain
import JSON

/// What an attempt left in its folder to be judged by.
struct ClosingFiles: Sendable {
    var report = WorkerReport.none
    /// Why `outputs.json` could not be read, if it could not.
    var fault: String?
    /// The end of each log, where the attempt failed.
    var stderrTail = ""
    var stdoutTail = ""

    /// Reads the folder; blocks. The logs of a success explain nothing and are left alone.
    static func read(_ directory: String, isFailure: Bool) throws -> ClosingFiles {
        var files = ClosingFiles()
        do {
            if let bytes = try Folders.tail(of: directory + "/outputs.json", limit: ServiceLimits.reportBytesMax + 1) {
                guard bytes.count <= ServiceLimits.reportBytesMax else {
                    throw ServiceError(.tooLarge, "outputs.json is larger than \(ServiceLimits.reportBytesMax) bytes")
                }
                files.report = try WorkerReport.parse(bytes)
            }
        } catch {
            files.fault = (error as? ServiceError)?.detail ?? "\(error)"
        }
        guard isFailure else { return files }
        files.stderrTail = try tail(directory + "/stderr.log")
        files.stdoutTail = try tail(directory + "/stdout.log")
        return files
    }

    private static func tail(_ path: String) throws -> String {
        String(decoding: try Folders.tail(of: path, limit: ServiceLimits.logTailBytesMax) ?? [], as: UTF8.self)
    }
}
