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
    /// What the runtime told of the container that failed; `nil` where there was none.
    var container: ContainerState?

    /// Reads the folder; blocks. The logs of a success explain nothing and are left alone.
    ///
    /// - Parameter mask: hides the secrets that the worker may have told of; what is read here is kept and shown.
    static func read(_ directory: String, isFailure: Bool, mask: SecretMask = SecretMask(values: [])) throws -> ClosingFiles {
        var files = ClosingFiles()
        do {
            if var bytes = try Folders.tail(of: directory + "/outputs.json", limit: ServiceLimits.reportBytesMax + 1) {
                guard bytes.count <= ServiceLimits.reportBytesMax else {
                    throw ServiceError(.tooLarge, "outputs.json is larger than \(ServiceLimits.reportBytesMax) bytes")
                }
                mask.hide(in: &bytes)
                files.report = try WorkerReport.parse(bytes)
            }
        } catch {
            files.fault = (error as? ServiceError)?.detail ?? "\(error)"
        }
        guard isFailure else { return files }
        files.container = try ContainerState.read(directory)
        files.stderrTail = try tail(directory + "/stderr.log", mask)
        files.stdoutTail = try tail(directory + "/stdout.log", mask)
        return files
    }

    private static func tail(_ path: String, _ mask: SecretMask) throws -> String {
        // The part before the tail decides whether the tail begins within a secret.
        var bytes = try Folders.tail(of: path, limit: ServiceLimits.logTailBytesMax + mask.contextBytes) ?? []
        mask.hide(in: &bytes)
        return String(decoding: bytes.suffix(ServiceLimits.logTailBytesMax), as: UTF8.self)
    }
}
