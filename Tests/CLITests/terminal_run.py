"""Runs a program on a pseudo-terminal and passes on what it writes.

Usage: terminal_run.py COLUMNS ROWS PROGRAM ARGUMENT…

TERMINAL_SCRIPT holds steps as JSON, done one after the other. Each waits until its "until" has come in the output after that of the
step before, and then does what else it has:
  "send"     presses keys
  "signal"   sends the signal of that number
  "resize"   gives the terminal the size [COLUMNS, ROWS]
  "suspend"  stops the program as Control-Z does and, once it stands, lets it go on
  "stall"    makes the terminal take nothing any more, as behind a connection that stands still
  "hang_up"  takes the terminal away
TERMINAL_SIGNALS says with what the program starts: "blocked" with all signals blocked, "ignored" with SIGHUP and SIGINT ignored, and
otherwise with neither. The program must end by itself; one that does not within a minute is killed, and standard error says what was
awaited. At the end standard error says whether the terminal's modes are what they were.
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

SECONDS_MAX = 60


def resize(descriptor, columns, rows):
    """Gives the terminal a size."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def set_signals(how):
    """Makes the signals of this process what the program is to start with, whatever the tests themselves run with."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    if how == "ignored":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() if how == "blocked" else [])


class Run:
    """A program on its terminal, and the steps that are still to be done."""

    def __init__(self, command, columns, rows, steps, signals):
        self.steps = steps
        self.seen = b""
        self.status = None
        self.reads = True
        # Where a child stops or ends, a byte comes here, so that one wait serves for that and for output.
        self.news, news = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(news)
        start, go = os.pipe()
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            # The size must stand before the program asks for it, and the modes must be noted before it changes them.
            resize(1, columns, rows)
            os.read(start, 1)
            os.close(start)
            os.close(go)
            set_signals(signals)
            os.execv(command[0], command)
        self.modes = termios.tcgetattr(self.terminal)
        os.set_blocking(self.terminal, False)
        os.write(go, b".")

    def modes_text(self):
        """Whether the terminal is as the program found it."""
        return "as before" if termios.tcgetattr(self.terminal) == self.modes else "changed"

    def run(self):
        """Does the steps and waits for the end; the program's exit code, or 128 and the number of the signal that ended it."""
        deadline = time.monotonic() + SECONDS_MAX
        while self.status is None:
            watched = [self.news] + ([self.terminal] if self.reads else [])
            ready = select.select(watched, [], [], max(0, deadline - time.monotonic()))[0]
            if self.news in ready:
                os.read(self.news, 4096)
                self.look_at_child()
            if self.terminal in ready:
                self.read()
            if time.monotonic() >= deadline and self.status is None:
                print(f"the program hangs; still to come: {self.steps}; seen last: {self.seen[-2000:]}", file=sys.stderr)
                os.kill(self.child, signal.SIGKILL)
                self.status = os.waitpid(self.child, 0)[1]
        if self.terminal is not None:
            self.read()
        if self.steps:
            print(f"never came: {self.steps[0]['until']}", file=sys.stderr)
        print("the terminal is gone" if self.terminal is None else f"the terminal's modes are {self.modes_text()}", file=sys.stderr)
        code = os.waitstatus_to_exitcode(self.status)
        return code if code >= 0 else 128 - code

    def look_at_child(self):
        """Notes the end of the program; one that stands goes on."""
        child, status = os.waitpid(self.child, os.WNOHANG | os.WUNTRACED)
        if child == 0:
            return
        if os.WIFSTOPPED(status):
            print(f"suspended, the terminal's modes are {self.modes_text()}", file=sys.stderr)
            os.kill(self.child, signal.SIGCONT)
        else:
            self.status = status

    def read(self):
        """Passes on what is there to read, and does the steps whose time has come."""
        while True:
            try:
                piece = os.read(self.terminal, 65536)
            except BlockingIOError:
                return
            except OSError:  # EIO: the program has closed its side.
                self.reads = False
                return
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            self.seen += piece
            while self.steps and (found := self.seen.find(self.steps[0]["until"].encode())) >= 0:
                step = self.steps.pop(0)
                self.seen = self.seen[found + len(step["until"].encode()):]
                self.do(step)
                if not self.reads:
                    return

    def do(self, step):
        """Does all that a step holds."""
        if "send" in step:
            os.write(self.terminal, step["send"].encode())
        if "resize" in step:
            resize(self.terminal, *step["resize"])
        if step.get("stall"):
            self.stall()
        if "signal" in step:
            os.kill(self.child, step["signal"])
        if step.get("suspend"):
            os.kill(self.child, signal.SIGTSTP)
        if step.get("hang_up"):
            self.reads = False
            os.close(self.terminal)
            self.terminal = None

    def stall(self):
        """Fills the terminal and reads from it no more, until the program has ended."""
        self.reads = False
        other = os.open(os.readlink(f"/proc/{self.child}/fd/1"), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        # The kernel hands on what it holds in its own time, so that there may be room again in a moment.
        while select.select([], [other], [], 0.2)[1]:
            try:
                os.write(other, b"." * 4096)
            except BlockingIOError:
                continue
        os.close(other)


if __name__ == "__main__":
    script = json.loads(os.environ.pop("TERMINAL_SCRIPT", "[]"))
    how = os.environ.pop("TERMINAL_SIGNALS", "")
    sys.exit(Run(sys.argv[3:], int(sys.argv[1]), int(sys.argv[2]), script, how).run())
