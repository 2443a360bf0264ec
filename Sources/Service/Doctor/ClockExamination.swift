import APITypes
import Devices
import Domain
import Glibc

/// Whether the clock can be trusted: ids and events are in the order of time.
enum ClockExamination {
    /// A clock that is set by small steps may go back this much.
    private static let backwardsMax: Duration = .seconds(2)

    /// - Parameter newest: of all rows of the database.
    static func check(now: Timestamp, newest: Timestamp?) -> DoctorCheck {
        if let newest, newest > now + backwardsMax {
            let ahead = newest - now
            return DoctorCheck(
                name: "clock", ok: false, detail: "the database has rows from \(Int(ahead.inSeconds)) s in the future (\(newest))",
                advice: "set the clock right (timedatectl set-ntp true): new rows sort before old ones until that time has come")
        }
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let up = "up for \(time.tv_sec / 3600) h"
        if HostFacts.isClockKept == false {
            return .warning(
                "clock", "\(now), \(up); nothing keeps the clock in step", advice: "run an NTP service: systemd-timesyncd, chrony or ntpd")
        }
        return DoctorCheck(name: "clock", ok: true, detail: "\(now), \(up)")
    }
}
