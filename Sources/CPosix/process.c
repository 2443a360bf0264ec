#define _GNU_SOURCE
#include "cposix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

int cposix_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int cposix_pidfd_send_signal(int pidfd, int signal_number) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
}

int cposix_pidfd_reap(int pidfd, int *exit_code, int *signal_number) {
    siginfo_t information;
    memset(&information, 0, sizeof information);
    int result;
    do {
        result = waitid(P_PIDFD, (id_t)pidfd, &information, WEXITED | WNOHANG);
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -1;
    if (information.si_pid == 0) return 0;
    bool exited = information.si_code == CLD_EXITED;
    *exit_code = exited ? information.si_status : -1;
    *signal_number = exited ? -1 : information.si_status;
    return 1;
}

bool cposix_wait_exited(int status) { return WIFEXITED(status); }
int cposix_wait_exit_code(int status) { return WEXITSTATUS(status); }
bool cposix_wait_signaled(int status) { return WIFSIGNALED(status); }
int cposix_wait_signal(int status) { return WTERMSIG(status); }
bool cposix_wait_dumped_core(int status) { return WCOREDUMP(status); }

int cposix_set_child_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

// Reads a whole small file of /proc; its length, or -1 with errno.
static ssize_t read_small_file(const char *path, char *buffer, size_t capacity) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t length = read(descriptor, buffer, capacity - 1);
    int error_number = errno;
    close(descriptor);
    errno = error_number;
    if (length >= 0) buffer[length] = 0;
    return length;
}

int cposix_read_process(pid_t pid, cposix_process *process) {
    char path[64];
    char line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_small_file(path, line, sizeof line) < 0) return -1;
    // The name stands in parentheses and may itself hold parentheses and spaces: what follows the last one is regular (proc(5)).
    const char *rest = strrchr(line, ')');
    unsigned long long start_ticks = 0;
    int parent = 0, group = 0, session = 0;
    char state = 0;
    int fields = rest == NULL
        ? 0
        : sscanf(rest + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state, &parent, &group,
              &session, &start_ticks);
    if (fields != 5) {
        errno = ESRCH;
        return -1;
    }
    process->pid = pid;
    process->parent = parent;
    process->group = group;
    process->session = session;
    process->state = state;
    process->start_ticks = start_ticks;
    return 0;
}

ssize_t cposix_read_processes(cposix_process **processes) {
    DIR *folder = opendir("/proc");
    if (folder == NULL) return -1;
    size_t count = 0, capacity = 256;
    cposix_process *list = malloc(capacity * sizeof *list);
    struct dirent *entry;
    while (list != NULL && (entry = readdir(folder)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        // A process that has gone meanwhile is left out.
        if (*end != 0 || pid <= 0 || cposix_read_process((pid_t)pid, &list[count]) < 0) continue;
        if (++count == capacity) {
            capacity *= 2;
            cposix_process *longer = realloc(list, capacity * sizeof *list);
            if (longer == NULL) free(list);
            list = longer;
        }
    }
    closedir(folder);
    if (list == NULL) {
        errno = ENOMEM;
        return -1;
    }
    *processes = list;
    return (ssize_t)count;
}

int cposix_boot_id(char text[37]) {
    char line[64];
    ssize_t length = read_small_file("/proc/sys/kernel/random/boot_id", line, sizeof line);
    if (length < 0) return -1;
    if (length < 36) {
        errno = EIO;
        return -1;
    }
    memcpy(text, line, 36);
    text[36] = 0;
    return 0;
}

int cposix_clock_is_kept(void) {
    struct timex state;
    memset(&state, 0, sizeof state);
    if (adjtimex(&state) < 0) return -1;
    return (state.status & STA_UNSYNC) == 0;
}
