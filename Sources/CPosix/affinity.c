#define _GNU_SOURCE
#include <sched.h>

#include "cposix.h"

int cposix_cpu_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}
