import CPosix
import Glibc

/// The two clocks of the shim, in milliseconds.
enum Clock {
    /// Since 1970; for records that people read. It may be set back.
    static func wall() -> Int64 { read(CLOCK_REALTIME) }

    /// Since some moment in the past; for every deadline. It never goes back.
    static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }

    /// How long this process exists, in whole hundredths of a second; 0 where /proc does not tell.
    static func ageOfProcess() -> Int64 {
        var process = cposix_process()
        guard cposix_read_process(getpid(), &process) == 0 else { return 0 }
        let ticksPerSecond = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        return max(0, read(CLOCK_BOOTTIME) - Int64(process.start_ticks) * 1000 / ticksPerSecond)
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
