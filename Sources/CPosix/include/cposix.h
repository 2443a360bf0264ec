// What Swift cannot call by itself: variadic functions, function-like macros, system calls without a wrapper in glibc 2.36, and the
// code between fork and exec, where only async-signal-safe functions may run.
#ifndef CPOSIX_H
#define CPOSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// MARK: Processes

/// A descriptor that stands for the process `pid` and never for a later one with the same number, or -1 with `errno`. Close-on-exec.
int cposix_pidfd_open(pid_t pid);

/// Sends `signal_number` to the process behind `pidfd`; 0, or -1 with `errno` (ESRCH where it has ended and was reaped).
int cposix_pidfd_send_signal(int pidfd, int signal_number);

/// Reaps the child behind `pidfd` if it has ended, without waiting. 1: reaped, `*exit_code` or `*signal_number` is set and the other
/// is -1. 0: still running. -1: `errno` (ECHILD where it is not ours).
int cposix_pidfd_reap(int pidfd, int *exit_code, int *signal_number);

// The macros that take a status of wait(2) apart.
bool cposix_wait_exited(int status);
int cposix_wait_exit_code(int status);
bool cposix_wait_signaled(int status);
int cposix_wait_signal(int status);
bool cposix_wait_dumped_core(int status);

/// Makes orphaned descendants children of this process instead of init's; 0, or -1 with `errno`.
int cposix_set_child_subreaper(void);

/// One line of /proc: what identifies a process and places it in the tree.
typedef struct {
    pid_t pid;
    pid_t parent;
    pid_t group;
    pid_t session;
    /// R, S, D, Z … as proc(5) has them.
    char state;
    /// Clock ticks between boot and the start of the process. With the pid and the boot id it names a process uniquely.
    uint64_t start_ticks;
} cposix_process;

/// Reads /proc/<pid>/stat; 0, or -1 with `errno` (ENOENT or ESRCH where there is no such process).
int cposix_read_process(pid_t pid, cposix_process *process);

/// Reads every process of /proc into a list that the caller frees; their number, or -1 with `errno`.
ssize_t cposix_read_processes(cposix_process **processes);

/// Writes the boot id of the running kernel as text into `text` (37 bytes with the final NUL); 0, or -1 with `errno`.
int cposix_boot_id(char text[37]);

// MARK: Descriptors

/// Lets the disk begin with what was written to a part of a file, so that a later fsync(2) has less to wait for. Only a hint.
void cposix_begin_writing(int descriptor, off_t offset, off_t count);

/// Takes an exclusive lock on the whole file without waiting: 1 taken, 0 held through another open file, -1 with `errno`.
///
/// It belongs to the open file description (F_OFD_SETLK of fcntl(2)): it passes to child processes with the descriptor and is given
/// back when the last copy is closed. Unlike one of flock(2) it can be looked for without being taken. The file is open for writing.
int cposix_try_lock(int descriptor);

/// Looks for a lock of `cposix_try_lock` without taking it: 1 held through another open file, 0 free, -1 with `errno`.
int cposix_is_locked(int descriptor);

/// Opens `name` relative to `directory` (AT_FDCWD allowed); `open` itself is variadic.
int cposix_open(int directory, const char *name, int flags, mode_t mode);

/// A file that lies in memory alone and goes with its last descriptor (memfd_create(2)), close-on-exec; -1 with `errno`.
int cposix_memory_file(const char *name);

/// pipe2(2) with close-on-exec on both ends, the reading one first; 0, or -1 with `errno`.
int cposix_pipe(int ends[2]);

/// Sets or clears FD_CLOEXEC; 0, or -1 with `errno`.
int cposix_set_close_on_exec(int descriptor, bool on);

/// accept4(2), which Swift's import of glibc leaves out: a new connection, close-on-exec and non-blocking, or -1 with `errno`.
int cposix_accept(int listener);

/// Blocks `signal_number` for the calling thread and opens a descriptor that is readable while one is pending; -1 with `errno`.
int cposix_signal_descriptor(int signal_number);

/// Takes all pending signals from a signal descriptor.
void cposix_drain_signal_descriptor(int descriptor);

// MARK: Starting a program

/// What to start. All strings are NUL-terminated; the lists end with NULL.
typedef struct {
    /// Path of the program; no search.
    const char *path;
    char *const *argv;
    char *const *envp;
    /// NULL: the caller's.
    const char *working_directory;
    /// Open descriptors above 2.
    int stdin_descriptor;
    int stdout_descriptor;
    int stderr_descriptor;
    /// An open folder of cgroup v2 that the process is born in, or -1.
    int cgroup_descriptor;
    /// Lead a new session, and with it a new process group.
    bool new_session;
    /// Signal for the child when the thread that starts it ends, or 0.
    int parent_death_signal;
} cposix_start_request;

/// Where starting a program failed.
typedef enum {
    CPOSIX_STEP_NONE = 0,
    CPOSIX_STEP_PIPE,
    CPOSIX_STEP_FORK,
    CPOSIX_STEP_PARENT_DEATH_SIGNAL,
    CPOSIX_STEP_SESSION,
    CPOSIX_STEP_WORKING_DIRECTORY,
    CPOSIX_STEP_STDIO,
    CPOSIX_STEP_DESCRIPTORS,
    CPOSIX_STEP_EXEC,
} cposix_step;

typedef struct {
    cposix_step step;
    int error_number;
} cposix_start_failure;

/// A process that waits before exec until `cposix_start_release`; it ends by itself when its maker dies first.
typedef struct {
    pid_t pid;
    int gate_descriptor;
    int report_descriptor;
    /// False where a control group was asked for and refused.
    bool in_cgroup;
} cposix_held_process;

/// Starts `path` as the leader of a new session, with default signals and with exactly `count` descriptors: `descriptors[n]` becomes
/// descriptor n. It is made without copying the caller's memory. 0 and `*pid`, or an errno value.
int cposix_spawn_session(
    const char *path, char *const *argv, char *const *envp, const int *descriptors, int count, pid_t *pid);

/// Makes the process and holds it before exec: its pid and start time can be recorded while nothing of the program has run yet.
/// 0, or -1 with `*failure`.
int cposix_start_held(const cposix_start_request *request, cposix_held_process *held, cposix_start_failure *failure);

/// Lets the held process go on and waits until the program runs. 0, or -1 with `*failure`; the process is then ending and is still to
/// be reaped.
int cposix_start_release(cposix_held_process *held, cposix_start_failure *failure);

// The cores that the scheduler lets this process run on; -1 with errno set where that cannot be asked.
// In C because the CPU_* macros of sched.h are not visible to Swift.
int cposix_cpu_count(void);

// Whether something keeps the clock in step (adjtimex(2)): 1 or 0; -1 where the kernel does not tell.
// In C because sys/timex.h is not visible to Swift.
int cposix_clock_is_kept(void);

#include "cposix_factory.h"

#endif
