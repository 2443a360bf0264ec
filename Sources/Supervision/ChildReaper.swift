import EventLoop
import Glibc

/// Takes in children of this process that are on their way to end, so that they do not stay as zombies.
///
/// A zombie costs little by itself, but it is for good the first that `waitid(2)` for any child finds: whoever waits so in this process,
/// as swift-testing does for its exit tests, turns in circles on it and hears of no later child.
@LoopActor
enum ChildReaper {
    /// Reaps the process behind `pidfd` as soon as it has ended, and closes the descriptor. One that is no child is left alone.
    static func reap(whenEnded pidfd: Int32) {
        guard AttemptHandle.reap(pidfd) == .running else {
            close(pidfd)
            return
        }
        do {
            var watcher: DescriptorWatcher?
            watcher = try DescriptorWatcher(descriptor: pidfd, events: .readable) { _ in
                _ = AttemptHandle.reap(pidfd)
                watcher?.cancel()
                watcher = nil
                close(pidfd)
            }
        } catch {
            // Only where the loop can watch nothing more at all; the zombie goes with this process.
            close(pidfd)
        }
    }
}
