import CPosix
import Glibc

/// `anneal-shim --guard SUPERVISOR CLIENT PROGRAM OPTION… NAME`: removes a container whose supervisor died without an end.
///
/// A container is no child of its client: where the shim is killed it would go on beside the attempt that follows. The guard stands beside
/// the client, in a session of its own, and goes when the client does. What Slurm kills with the job it kills, too: there containers
/// must be in the job's control group.
enum ContainerGuard {
    private static let tries = 5
    /// What the clients of runtimes need to find their storage and their service; nothing of the worker's own.
    private static let variables: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS",
        "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", folder,
    ]
    private static let folder = "ANNEAL_ATTEMPT_DIR"

    /// Starts one beside this process, which is about to become the client.
    ///
    /// - Parameter runtime: the client's program with the options before its subcommand.
    static func start(of name: String, _ runtime: ArraySlice<String>, _ environment: [(key: String, value: String)]) {
        let own = "/proc/self/exe"
        var pid: pid_t = 0
        let words = CStringArray(["anneal-shim", "--guard", String(getppid()), String(getpid())] + runtime + [name])
        let kept = CStringArray(environment.filter { variables.contains($0.key) }.map { "\($0.key)=\($0.value)" })
        let null = cposix_open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0)
        defer { if null >= 0 { close(null) } }
        let result = cposix_spawn_session(own, words.pointers, kept.pointers, [null, null, null], 3, &pid)
        // Without one the worker runs as well; what would be missed is told.
        if result != 0 { complain("no guard of the container can be started: \(describe(result))") }
    }

    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 4, let supervisor = pid_t(arguments[0]), let client = pid_t(arguments[1]), let name = arguments.last else {
            complain("usage: anneal-shim --guard SUPERVISOR CLIENT PROGRAM [OPTION...] NAME")
            return ShimExit.usage.rawValue
        }
        let environment = BatchAllocation.environment
        guard let path = environment.first(where: { $0.key == folder })?.value, chdir(path) == 0 else { return ShimExit.usage.rawValue }
        // The supervisor that has written its record has cleaned up itself; one that lives does so.
        guard outlives(supervisor, client), access("exit.json", F_OK) != 0 else { return 0 }
        let runtime = (arguments[2].contains("/") ? [] : ["/usr/bin/env"]) + arguments[2..<arguments.count - 1]
        CleanUp(argv: runtime + ["kill", name], output: nil, tries: 1).run(environment: environment)
        CleanUp(argv: runtime + ["rm", "--force", name], output: nil, tries: tries).run(environment: environment)
        return 0
    }

    /// Waits until one of the two has ended; true where the supervisor has.
    private static func outlives(_ supervisor: pid_t, _ client: pid_t) -> Bool {
        let descriptors = [supervisor, client].map(cposix_pidfd_open)
        // One that has gone already has no descriptor.
        guard descriptors.allSatisfy({ $0 >= 0 }) else { return descriptors[0] < 0 }
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while poll(&entries, nfds_t(entries.count), -1) < 0, errno == EINTR {}
        return entries[0].revents != 0
    }
}
