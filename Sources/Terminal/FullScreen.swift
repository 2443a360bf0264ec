import Glibc
import Synchronization

/// The whole terminal, taken for a program's own screen: the alternate buffer, no cursor, keys as they are pressed.
///
/// What was there before comes back with `leave`, at `exit`, and on every signal that ends or stops the process, a crash too.
public enum FullScreen {
    private static let endingSignals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE]

    /// Takes the terminal. False where standard input and output are none.
    ///
    /// Signals that the caller's thread blocks are not seen; see `ProcessSignals.unblock`.
    public static func enter() -> Bool {
        var modes = termios()
        guard isatty(STDOUT_FILENO) == 1, tcgetattr(STDIN_FILENO, &modes) == 0 else { return false }
        saved.modes.pointee = modes
        modes.c_lflag &= ~tcflag_t(ICANON | ECHO)
        // Control-S would stop the output, and with it the program.
        modes.c_iflag &= ~tcflag_t(IXON)
        withUnsafeMutableBytes(of: &modes.c_cc) { characters in
            characters[Int(VMIN)] = 1
            characters[Int(VTIME)] = 0
        }
        saved.raw.pointee = modes
        PromptOutput.open()
        watchSignals()
        take()
        return true
    }

    /// Gives the terminal back. Does nothing where it was not taken.
    public static func leave() {
        guard isTaken.load(ordering: .relaxed) else { return }
        giveBack()
        for number in endingSignals where !ProcessSignals.isIgnored(saved.actions[Int(number)]) {
            sigaction(number, saved.actions + Int(number), nil)
        }
        for number in [SIGTSTP, SIGCONT, SIGWINCH] { signal(number, SIG_DFL) }
    }

    /// True once after the screen's size or content may have changed by other hands.
    public static func takeRedrawRequest() -> Bool { wantsRedraw.exchange(false, ordering: .relaxed) }

    // MARK: Signals

    private static func watchSignals() {
        // A program that ends by `exit` gives the terminal back too; registered once for all.
        if !isRegistered.exchange(true, ordering: .relaxed) { atexit { giveBack() } }
        for number in endingSignals {
            sigaction(number, nil, saved.actions + Int(number))
            // What the caller wants ignored, as nohup does, stays so: the program would go on without its screen.
            guard !ProcessSignals.isIgnored(saved.actions[Int(number)]) else { continue }
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                giveBack()
                // What was there before gets the signal, such as Swift's report of a crash. Where that returns, the process ends.
                sigaction(number, saved.actions + Int(number), nil)
                ProcessSignals.raiseNow(number)
                signal(number, SIG_DFL)
                ProcessSignals.raiseNow(number)
            }
            sigaction(number, &action, nil)
        }
        watch(SIGTSTP) { _ in
            giveBack()
            raise(SIGSTOP)
        }
        watch(SIGCONT) { _ in
            take()
            wantsRedraw.store(true, ordering: .relaxed)
        }
        watch(SIGWINCH) { _ in wantsRedraw.store(true, ordering: .relaxed) }
    }

    /// Calls of the system are not taken up again after the handler, so that a wait for keys ends and the screen is drawn.
    private static func watch(_ number: Int32, _ handler: @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        sigaction(number, &action, nil)
    }
}

/// What the handlers need. They may only use memory that is there already, and what POSIX allows in a handler, such as `write`,
/// `tcsetattr`, `sigaction` and `raise`.
private struct SavedTerminal {
    let modes = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    let raw = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    /// What was done before on each signal, by its number.
    let actions = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
}

// Written by `enter` before any handler is set, and only read after.
nonisolated(unsafe) private let saved = SavedTerminal()
private let isTaken = Atomic<Bool>(false)
private let isRegistered = Atomic<Bool>(false)
private let wantsRedraw = Atomic<Bool>(false)

private func take() {
    tcsetattr(STDIN_FILENO, TCSANOW, saved.raw)
    PromptOutput.write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
    isTaken.store(true, ordering: .relaxed)
}

private func giveBack() {
    guard isTaken.exchange(false, ordering: .relaxed) else { return }
    PromptOutput.write("\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l")
    // Keys that nobody has read would reach the shell.
    tcflush(STDIN_FILENO, TCIFLUSH)
    tcsetattr(STDIN_FILENO, TCSANOW, saved.modes)
}
