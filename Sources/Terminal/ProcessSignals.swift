import Glibc

/// What a process does about signals as a whole.
public enum ProcessSignals {
    /// Makes the calling thread, and those that it starts later, take every signal.
    ///
    /// A process inherits the blocked signals of the thread that started it. Those of Dispatch block almost all, and a program that they
    /// start could neither be ended nor be told of a new size of its terminal.
    public static func unblock() {
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
    }

    /// Whether the action is to pass over the signal. Fit for handlers.
    public static func isIgnored(_ action: sigaction) -> Bool {
        unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Sends the signal to the calling thread and lets it come at once, also in a handler of the same signal. Fit for handlers.
    public static func raiseNow(_ number: Int32) {
        raise(number)
        var one = sigset_t()
        sigemptyset(&one)
        sigaddset(&one, number)
        pthread_sigmask(SIG_UNBLOCK, &one, nil)
    }
}
