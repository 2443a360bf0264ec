/* Compiles the generated parser of Debian's llhttp (package node-llhttp). See api_source.c. */
#include "llhttp.h"

#include "/usr/share/llhttp/llhttp.c"
