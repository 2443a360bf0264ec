import Glibc
import Testing

/// A program started by a test.
///
/// Not Foundation's `Process`, whose `waitUntilExit` runs a run loop and hangs where many tests wait at once.
struct ChildProcess {
    private let id: pid_t

    /// - Parameter command: The program's path and its arguments.
    init(_ command: [String], environment: [String: String], folder: String = "/", input: Int32? = nil, output: Int32, errors: Int32? = nil)
        throws
    {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input { posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) }
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        if let errors { posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO) }
        // Swift's Glibc does not show the spawn action that changes the folder; env does it.
        var arguments: [UnsafeMutablePointer<CChar>?] = (["env", "-C", folder] + command).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var child = pid_t()
        let status = posix_spawn(&child, "/usr/bin/env", &actions, nil, &arguments, &variables)
        try #require(status == 0, "cannot start \(command[0]): \(String(cString: strerror(status)))")
        id = child
    }

    /// Waits for the end; the exit code, or 128 and the signal's number.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    func kill() {
        Glibc.kill(id, SIGKILL)
        _ = wait()
    }
}
