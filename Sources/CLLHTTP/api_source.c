/* Compiles Debian's copy of llhttp (package node-llhttp); nothing of it is kept in this project.
   The generated parser is a file of its own, because its declarations of the callbacks differ from these in wording. */
#include "llhttp.h"

#include "/usr/share/llhttp/api.c"
#include "/usr/share/llhttp/http.c"
