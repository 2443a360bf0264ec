// Processes that are copies of their maker, and the passing of descriptors between processes.
#ifndef CPOSIX_FACTORY_H
#define CPOSIX_FACTORY_H

#include <stddef.h>
#include <sys/types.h>

/// fork(2), for a process with a single thread. Returns 0 in the copy, the copy's number in the maker, or -1 with `errno`.
pid_t cposix_fork(void);

/// A connected pair of Unix sockets that keep the borders of messages, closed on exec. Returns 0, or -1 with `errno`.
int cposix_message_pair(int ends[2]);

/// Sends one message with up to 8 descriptors. Returns 0, or -1 with `errno`.
int cposix_send_message(int socket, const void *bytes, size_t length, const int *descriptors, int count);

/// Receives one message; its descriptors are closed on exec, and those that did not come are -1.
/// Returns the length, 0 where the other end is closed, or -1 with `errno`.
ssize_t cposix_receive_message(int socket, void *bytes, size_t capacity, int *descriptors, int count);

#endif
