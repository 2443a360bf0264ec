import Glibc

/// Waits for changes in the folder of a file (inotify(7)).
final class FileWatch {
    private let descriptor: Int32

    init(path: String) {
        descriptor = inotify_init1(0)
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        inotify_add_watch(descriptor, folder, UInt32(IN_CREATE | IN_MODIFY | IN_MOVED_TO))
    }

    deinit { close(descriptor) }

    /// Returns after a change, or after a second, so that the caller can look whether the process still runs.
    func wait() {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&request, 1, 1000) > 0 else { return }
        var events = [UInt8](repeating: 0, count: 4096)
        _ = read(descriptor, &events, events.count)
    }
}
