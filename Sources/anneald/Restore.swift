import Glibc
import Service

/// `anneald --restore`: brings a backup back, with no daemon on the folder meanwhile.
struct Restore {
    let source: String
    let data: String
    let holdsJobs: Bool

    func run() throws {
        let restoration = Restoration(source: source, data: data, holdsJobs: holdsJobs)
        do {
            try restoration.check()
            try DataFolder.create(data)
            let lock = try DataFolder.lock(data)
            defer { lock.release() }
            // Once more, now that no daemon can come between.
            try restoration.check()
            let lines = try restoration.run()
            let text = Array((lines.joined(separator: "\n") + "\n").utf8)
            _ = write(STDOUT_FILENO, text, text.count)
        } catch let error as ServiceError {
            throw SettingsError(message: error.detail)
        }
    }
}
