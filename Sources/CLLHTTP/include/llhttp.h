#ifndef CLLHTTP_LLHTTP_H
#define CLLHTTP_LLHTTP_H

/* Strict mode refuses what the loose one forgives: bytes above 0x7F in a target, line ends without a carriage return. */
#undef LLHTTP_STRICT_MODE
#define LLHTTP_STRICT_MODE 1

/* Debian's node-llhttp keeps its header outside the compiler's search path. This file bears the same name because the
   library's own sources include "llhttp.h". */
#include "/usr/share/include/llhttp/llhttp.h"

#endif
