import EventLoop
import Supervision

extension AnnealService {
    /// Removes the secrets of an attempt that no shim has taken, and none will take now.
    func removeSecrets(of attempt: RunningAttempt) async {
        let path = attempt.directory
        try? await files.run { SecretHandover.remove(from: path) }  // the thread is stopped when the daemon goes down; the next one ends it
    }
}
