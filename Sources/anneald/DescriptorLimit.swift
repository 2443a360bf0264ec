import Glibc

/// How many files and sockets the daemon may hold open at once.
enum DescriptorLimit {
    /// More than the daemon can use; a larger number makes programs slow that close every descriptor they might have.
    private static let wanted: rlim_t = 65_536

    /// Raises the limit as far as the system allows, for workers too: data loaders run out of the usual 1,024.
    ///
    /// - Returns: The limit in force.
    static func raise() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        let before = limit
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, wanted))
        let isRaised = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        return Int(clamping: isRaised ? limit.rlim_cur : before.rlim_cur)
    }
}
