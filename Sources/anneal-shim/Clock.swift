import Glibc

/// The two clocks of the shim, in milliseconds.
enum Clock {
    /// Since 1970; for records that people read. It may be set back.
    static func wall() -> Int64 { read(CLOCK_REALTIME) }

    /// Since some moment in the past; for every deadline. It never goes back.
    static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
