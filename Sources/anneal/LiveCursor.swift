import Glibc
import Terminal

/// Hides the cursor while lines are drawn in place.
enum LiveCursor {
    static func hide() {
        PromptOutput.open()
        // An interrupted command must not leave the terminal without its cursor. The handler uses only what POSIX allows in one.
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var before = sigaction()
            sigaction(number, nil, &before)
            // What the caller wants ignored, as nohup does, stays so.
            guard !ProcessSignals.isIgnored(before) else { continue }
            signal(number) { number in
                PromptOutput.write("\u{1B}[?25h\n")
                _exit(128 + number)
            }
        }
        Output.write("\u{1B}[?25l")
    }

    static func show() { Output.write("\u{1B}[?25h") }
}
