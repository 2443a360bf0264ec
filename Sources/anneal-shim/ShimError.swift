import Glibc

/// The shim's own exit codes. They tell the shim's maker what became of the attempt's folder; the worker's exit is in exit.json.
enum ShimExit: Int32 {
    /// The attempt has ended and exit.json says how.
    case recorded = 0
    /// The command line is wrong or the folder cannot be entered.
    case usage = 64
    /// Another shim holds the lock.
    case locked = 73
    /// exit.json could not be written.
    case recordFailed = 74
    /// exit.json is there already.
    case alreadyEnded = 76
    /// shim.json is there already: an earlier shim started this attempt and died.
    case alreadyStarted = 77
}

/// Why the worker could not be started; becomes `start_error` of exit.json.
struct StartError: Error {
    /// The step that failed, a word that programs compare.
    var step: String
    /// As errno(3) has it; 0 where no system call failed.
    var errorNumber: Int32
    var message: String

    init(step: String, errorNumber: Int32 = 0, message: String) {
        self.step = step
        self.errorNumber = errorNumber
        self.message = message
    }

    /// A failed system call, told by its errno.
    init(step: String, doing what: String, errorNumber: Int32) {
        self.init(step: step, errorNumber: errorNumber, message: "cannot \(what): \(describe(errorNumber))")
    }
}

/// The text of an errno value, such as "No such file or directory".
func describe(_ errorNumber: Int32) -> String {
    guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
    return String(cString: text)
}

/// Tells whoever started the shim; its standard error is `shim.log` under the daemon.
func complain(_ message: String) {
    let line = Array("anneal-shim: \(message)\n".utf8)
    // Nothing is left to do where even this cannot be written.
    _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
