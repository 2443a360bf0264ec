import Glibc
import Store

/// Hard links to the checkpoints of trainings that run, so that these can be copied at leisure while their trainers remove them. Blocks.
///
/// It lies in the data folder, where links always reach; where the file system has none, nothing is held and the race is with the trainer.
struct CheckpointHold {
    /// The folder of the links, laid out as the data folder.
    let folder: String
    private let data: String

    init(data: String) throws {
        self.data = data
        folder = data + "/backups/.held"
        // Of a daemon that died over a backup.
        try Folders.remove(folder)
    }

    /// Holds a checkpoint's folder, as far as it is whole.
    ///
    /// - Parameter path: below the data folder.
    func hold(_ path: String) throws {
        guard access(folder + "/" + path, F_OK) != 0, access(data + "/" + path, F_OK) == 0 else { return }
        let whole = try link(path)
        if !whole { try Folders.remove(folder + "/" + path) }
    }

    /// Whether a checkpoint is held.
    func holds(_ path: String) -> Bool { access(folder + "/" + path, F_OK) == 0 }

    func release() throws { try Folders.remove(folder) }

    private func link(_ path: String) throws -> Bool {
        var status = stat()
        guard lstat(data + "/" + path, &status) == 0 else { return false }
        if status.st_mode & S_IFMT == S_IFDIR {
            try Folders.create(folder + "/" + path)
            for name in try Folders.names(in: data + "/" + path) where try !link(path + "/" + name) { return false }
            // A trainer removes files before their folder: had one been missed, the folder would be gone or shorter by now.
            return access(data + "/" + path, F_OK) == 0
        }
        return Glibc.link(data + "/" + path, folder + "/" + path) == 0
    }
}
