import CPosix
import Glibc

/// `anneal-shim --step SRUN ARGUMENT…`: runs a step of the allocation, and hands on to its tasks what the worker is told by signals.
///
/// srun itself takes SIGTERM for the order to kill its tasks. They are to be asked, so it stands in a session of its own, out of the
/// signal's way, and Slurm is told to signal the steps. Other signals srun hands on by itself (srun(1), "SIGNALS").
enum StepRelay {
    /// What may be sent to a worker to make it save.
    private static let handed = [SIGUSR1, SIGUSR2, SIGINT, SIGHUP, SIGQUIT]

    static func run(_ arguments: [String]) -> Int32 {
        guard let name = arguments.first else {
            complain("usage: anneal-shim --step SRUN [ARGUMENT...]")
            return ShimExit.usage.rawValue
        }
        // Before there is anybody to hand them to: none is lost.
        let signals = (handed + [SIGTERM, SIGCHLD]).map { number in (number: number, descriptor: cposix_signal_descriptor(number)) }
        let environment = BatchAllocation.environment
        do throws(StartError) {
            let program = try ProgramSearch(name: name, environment: environment).path()
            let pid = try spawn(program, arguments, environment)
            return relay(signals, to: pid, environment)
        } catch {
            complain(error.message)
            return NodeEntry.failure
        }
    }

    private static func relay(_ signals: [(number: Int32, descriptor: Int32)], to pid: pid_t, _ environment: Environment) -> Int32 {
        while true {
            var status: Int32 = 0
            // Any child: programs that handed a signal on end here, too.
            let reaped = waitpid(-1, &status, WNOHANG)
            if reaped == pid { return cposix_wait_signaled(status) ? 128 + cposix_wait_signal(status) : cposix_wait_exit_code(status) }
            if reaped > 0 { continue }
            var entries = signals.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else { continue }
            for (signal, entry) in zip(signals, entries) where entry.revents != 0 {
                cposix_drain_signal_descriptor(signal.descriptor)
                if signal.number == SIGTERM { askSteps(environment) } else if signal.number != SIGCHLD { kill(pid, signal.number) }
            }
        }
    }

    /// Sends SIGTERM to the steps of this job; not to its batch script, which is the supervisor.
    private static func askSteps(_ environment: Environment) {
        guard let job = environment.last(where: { $0.key == "SLURM_JOB_ID" })?.value else { return }
        do throws(StartError) {
            let program = try ProgramSearch(name: "scancel", environment: environment).path()
            _ = try spawn(program, ["scancel", "--quiet", "--signal=TERM", job], environment)
        } catch {
            // The grace passes, and SIGKILL follows.
            complain(error.message)
        }
    }

    private static func spawn(_ program: String, _ arguments: [String], _ environment: Environment) throws(StartError) -> pid_t {
        var pid: pid_t = 0
        let words = CStringArray(arguments)
        let variables = CStringArray(environment.map { "\($0.key)=\($0.value)" })
        let result = cposix_spawn_session(program, words.pointers, variables.pointers, [0, 1, 2], 3, &pid)
        guard result == 0 else { throw StartError(step: "exec", doing: "run '\(program)'", errorNumber: result) }
        return pid
    }

    private typealias Environment = [(key: String, value: String)]
}
