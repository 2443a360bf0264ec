import Foundation
import Glibc
import Testing

/// A program started by a test.
///
/// Not Foundation's `Process`, whose `waitUntilExit` runs a run loop and hangs where many tests wait at once.
struct ChildProcess {
    /// Tests have never more files open.
    private static let descriptorsMax = 1024

    private let id: pid_t

    /// The program starts as from a shell: no signal is blocked or ignored, and no file is open but the three. The threads that tests
    /// run on block almost all signals, and other tests of the same process leave files open to children.
    ///
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
        for descriptor in (STDERR_FILENO + 1)..<Int32(min(Self.descriptorsMax, sysconf(Int32(_SC_OPEN_MAX)))) {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        // Swift's Glibc does not show the spawn action that changes the folder; env does it.
        var arguments: [UnsafeMutablePointer<CChar>?] = (["env", "-C", folder] + command).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var child = pid_t()
        let status = posix_spawn(&child, "/usr/bin/env", &actions, &attributes, &arguments, &variables)
        try #require(status == 0, "cannot start \(command[0]): \(String(cString: strerror(status)))")
        id = child
    }

    /// Waits for the end; the exit code, or 128 and the signal's number. A program that takes longer is killed; `nil` then.
    func wait(secondsMax: Double) -> Int32? {
        let end = DispatchSemaphore(value: 0)
        let child = id_t(id)
        Thread.detachNewThread {
            var information = siginfo_t()
            while waitid(P_PID, child, &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
            end.signal()
        }
        guard end.wait(timeout: .now() + secondsMax) == .timedOut else { return reap() }
        Glibc.kill(id, SIGKILL)
        end.wait()
        _ = reap()
        return nil
    }

    func kill() {
        Glibc.kill(id, SIGKILL)
        _ = reap()
    }

    private func reap() -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }
}
