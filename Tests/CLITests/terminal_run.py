"""Runs a program on a pseudo-terminal and passes on what it writes.

Usage: terminal_run.py COLUMNS ROWS PROGRAM ARGUMENT…
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, rows = int(sys.argv[1]), int(sys.argv[2])
child, terminal = pty.fork()
if child == 0:
    # The size must stand before the program asks for it.
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # EIO: the program has closed its side.
        break
    if not piece:
        break
    sys.stdout.buffer.write(piece)
_, status = os.waitpid(child, 0)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status))
