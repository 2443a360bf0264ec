#ifndef CUV_SHIM_H
#define CUV_SHIM_H

#include <sys/prctl.h>
#include <uv.h>

/* Names the calling thread, which libuv cannot do in this version. prctl has variable arguments, which Swift cannot
   pass, and Swift's Glibc module leaves out pthread_setname_np as a GNU extension. */
static inline void cuv_set_thread_name(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

#endif
