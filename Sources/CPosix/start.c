// Starting a program in two steps: make the process and hold it, then let it become the program. Between the two its maker records who
// it is, so a crash of the maker at any moment leaves either a record of the process or no process.
#define _GNU_SOURCE
#include "cposix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <spawn.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    int gate[2];
    int report[2];
} pipes;

static void close_pipe(int ends[2]) {
    for (int end = 0; end < 2; end++) {
        if (ends[end] >= 0) close(ends[end]);
        ends[end] = -1;
    }
}

static int fail(cposix_start_failure *failure, cposix_step step, int error_number) {
    failure->step = step;
    failure->error_number = error_number;
    return -1;
}

// A copy of this process, born in the control group if there is one. clone3 with CLONE_INTO_CGROUP spares the migration of a running
// process, which waits for a grace period of the kernel; where clone3 is refused (old container runtimes) plain fork serves.
static pid_t make_process(int cgroup_descriptor, bool *in_cgroup) {
    struct clone_args arguments;
    *in_cgroup = false;
    if (cgroup_descriptor >= 0) {
        memset(&arguments, 0, sizeof arguments);
        arguments.exit_signal = SIGCHLD;
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)cgroup_descriptor;
        // Written before the call so that the child sees it too.
        *in_cgroup = true;
        pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
        if (pid >= 0) return pid;
        *in_cgroup = false;
    }
    return fork();
}

_Noreturn static void report_and_exit(int descriptor, cposix_step step) {
    cposix_start_failure failure = {.step = step, .error_number = errno};
    // Eight bytes into an empty pipe are written at once or not at all; a vanished reader needs no report.
    ssize_t ignored = write(descriptor, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

static void reset_signals(void) {
    // Zeros are the kernel's struct sigaction with SIG_DFL. The system call itself, because sigaction of glibc leaves out the two
    // signals that it keeps for itself, and its posix_spawn, which started the maker, ignores them. SIGKILL and SIGSTOP give EINVAL.
    const char defaults[64] = {0};
    for (int number = 1; number < NSIG; number++) syscall(SYS_rt_sigaction, number, defaults, NULL, (size_t)8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Runs in the new process. Only async-signal-safe calls (signal-safety(7)).
_Noreturn static void become_program(const cposix_start_request *request, pipes *ends) {
    int report = ends->report[1];
    close(ends->gate[1]);
    close(ends->report[0]);
    if (request->parent_death_signal != 0 && prctl(PR_SET_PDEATHSIG, request->parent_death_signal, 0, 0, 0) < 0) {
        report_and_exit(report, CPOSIX_STEP_PARENT_DEATH_SIGNAL);
    }
    if (request->new_session && setsid() < 0) report_and_exit(report, CPOSIX_STEP_SESSION);

    char token;
    ssize_t length;
    do {
        length = read(ends->gate[0], &token, 1);
    } while (length < 0 && errno == EINTR);
    // The maker died before it opened the gate: nobody knows of this process, so it must not become the program.
    if (length != 1) _exit(127);

    if (dup2(request->stdin_descriptor, 0) < 0 || dup2(request->stdout_descriptor, 1) < 0 || dup2(request->stderr_descriptor, 2) < 0) {
        report_and_exit(report, CPOSIX_STEP_STDIO);
    }
    if (request->working_directory != NULL && chdir(request->working_directory) < 0) {
        report_and_exit(report, CPOSIX_STEP_WORKING_DIRECTORY);
    }
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) report_and_exit(report, CPOSIX_STEP_DESCRIPTORS);
    reset_signals();
    execve(request->path, request->argv, request->envp);
    report_and_exit(report, CPOSIX_STEP_EXEC);
}

int cposix_start_held(const cposix_start_request *request, cposix_held_process *held, cposix_start_failure *failure) {
    pipes ends = {.gate = {-1, -1}, .report = {-1, -1}};
    // dup2 onto itself would leave close-on-exec set, and the targets 0 to 2 must not be sources of one another.
    if (request->stdin_descriptor < 3 || request->stdout_descriptor < 3 || request->stderr_descriptor < 3) {
        return fail(failure, CPOSIX_STEP_STDIO, EBADF);
    }
    if (pipe2(ends.gate, O_CLOEXEC) < 0 || pipe2(ends.report, O_CLOEXEC) < 0) {
        int error_number = errno;
        close_pipe(ends.gate);
        close_pipe(ends.report);
        return fail(failure, CPOSIX_STEP_PIPE, error_number);
    }
    // No handler of the maker may run in the child before its dispositions are reset.
    sigset_t all, previous;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &previous);
    pid_t pid = make_process(request->cgroup_descriptor, &held->in_cgroup);
    if (pid == 0) become_program(request, &ends);
    int error_number = errno;
    sigprocmask(SIG_SETMASK, &previous, NULL);
    close(ends.gate[0]);
    close(ends.report[1]);
    if (pid < 0) {
        close(ends.gate[1]);
        close(ends.report[0]);
        return fail(failure, CPOSIX_STEP_FORK, error_number);
    }
    held->pid = pid;
    held->gate_descriptor = ends.gate[1];
    held->report_descriptor = ends.report[0];
    return 0;
}

int cposix_start_release(cposix_held_process *held, cposix_start_failure *failure) {
    ssize_t length;
    do {
        length = write(held->gate_descriptor, "g", 1);
    } while (length < 0 && errno == EINTR);
    close(held->gate_descriptor);
    held->gate_descriptor = -1;

    cposix_start_failure report = {.step = CPOSIX_STEP_NONE, .error_number = 0};
    do {
        length = read(held->report_descriptor, &report, sizeof report);
    } while (length < 0 && errno == EINTR);
    close(held->report_descriptor);
    held->report_descriptor = -1;
    // Nothing to read means that exec closed the other end: the program runs (or the process was killed first, as its wait status says).
    if (length != (ssize_t)sizeof report) return 0;
    *failure = report;
    return -1;
}

// The sources are first copied out of the way of the targets: source and target numbers may overlap.
static int add_descriptors(posix_spawn_file_actions_t *actions, const int *descriptors, int count, int *copies) {
    for (int number = 0; number < count; number++) {
        copies[number] = fcntl(descriptors[number], F_DUPFD_CLOEXEC, count);
        if (copies[number] < 0) return errno;
        int result = posix_spawn_file_actions_adddup2(actions, copies[number], number);
        if (result != 0) return result;
    }
    return posix_spawn_file_actions_addclosefrom_np(actions, count);
}

int cposix_spawn_session(
    const char *path, char *const *argv, char *const *envp, const int *descriptors, int count, pid_t *pid) {
    int copies[16];
    if (count < 3 || count > 16) return EINVAL;
    for (int number = 0; number < count; number++) copies[number] = -1;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) return result;
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    result = add_descriptors(&actions, descriptors, count, copies);
    if (result == 0) result = posix_spawn(pid, path, &actions, &attributes, argv, envp);
    for (int number = 0; number < count; number++) {
        if (copies[number] >= 0) close(copies[number]);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return result;
}
