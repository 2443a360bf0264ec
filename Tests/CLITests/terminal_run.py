"""Runs a program on a pseudo-terminal and passes on what it writes.

Usage: terminal_run.py COLUMNS ROWS PROGRAM ARGUMENT…

TERMINAL_SCRIPT holds steps as JSON, done one after the other: each waits until its "until" has come in the output after that of
the step before, and then presses the keys of "send", sends the signal of number "signal", or gives the terminal the size of
"resize", [COLUMNS, ROWS]; "suspend" stops it as Control-Z does, and lets it go on. The program must end by itself; one that does not within a minute is killed. At the end standard error
says whether the terminal's modes are what they were.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

columns, rows = int(sys.argv[1]), int(sys.argv[2])
steps = json.loads(os.environ.pop("TERMINAL_SCRIPT", "[]"))


def resize(descriptor, columns, rows):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


start, go = os.pipe()
child, terminal = pty.fork()
if child == 0:
    # The size must stand before the program asks for it, and the modes must be noted before it changes them.
    resize(1, columns, rows)
    os.read(start, 1)
    os.close(start)
    os.close(go)
    os.execv(sys.argv[3], sys.argv[3:])
modes = termios.tcgetattr(terminal)
os.write(go, b".")

deadline = time.monotonic() + 60
seen = b""
while True:
    if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        os.kill(child, signal.SIGKILL)
        print(f"the program hangs; still to come: {steps}", file=sys.stderr)
        break
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # EIO: the program has closed its side.
        break
    if not piece:
        break
    sys.stdout.buffer.write(piece)
    seen += piece
    while steps and (found := seen.find(steps[0]["until"].encode())) >= 0:
        step = steps.pop(0)
        seen = seen[found + len(step["until"].encode()):]
        if "send" in step:
            os.write(terminal, step["send"].encode())
        if "resize" in step:
            resize(terminal, *step["resize"])
        if "signal" in step:
            os.kill(child, step["signal"])
        if "suspend" in step:
            os.kill(child, signal.SIGTSTP)
            os.waitpid(child, os.WUNTRACED)
            was = "as before" if termios.tcgetattr(terminal) == modes else "changed"
            print(f"suspended, the terminal's modes are {was}", file=sys.stderr)
            os.kill(child, signal.SIGCONT)
_, status = os.waitpid(child, 0)
sys.stdout.flush()
if steps:
    print(f"never came: {steps[0]['until']}", file=sys.stderr)
print("the terminal's modes are", "as before" if termios.tcgetattr(terminal) == modes else "changed", file=sys.stderr)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
