import Glibc

/// Hides the cursor while lines are drawn in place.
enum LiveCursor {
    static func hide() {
        // An interrupted command must not leave the terminal without its cursor. The handler uses only what POSIX allows in one.
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                let restore: StaticString = "\u{1B}[?25h\n"
                write(STDOUT_FILENO, restore.utf8Start, restore.utf8CodeUnitCount)
                _exit(128 + number)
            }
        }
        Output.write("\u{1B}[?25l")
    }

    static func show() { Output.write("\u{1B}[?25h") }
}
