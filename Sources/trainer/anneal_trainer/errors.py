"""The ways a worker can fail, each with its exit code, as the worker contract names them."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_BAD_REQUEST = 64
EXIT_BAD_DATA = 65
EXIT_RESUME = 75

#: How many single problems one failure lists. The message still tells the full count.
PROBLEMS_MAX = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what, and where. `line` counts from 1 in a JSON Lines file; `pointer` is RFC 6901."""

    detail: str
    pointer: str | None = None
    line: int | None = None

    def as_json(self) -> dict:
        found = {"line": self.line, "pointer": self.pointer, "detail": self.detail}
        return {key: value for key, value in found.items() if value is not None}

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line is not None else []
        place += [self.pointer] if self.pointer else []
        return f"{', '.join(place)}: {self.detail}" if place else self.detail


def counted(count: int, noun: str) -> str:
    """A number with its noun, such as `1 record` and `2 records`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class WorkerError(Exception):
    """A failure with a reason that a program can act on and a message that a person can read."""

    def __init__(self, exit_code: int, reason: str, message: str, problems: list[Problem] | None = None):
        super().__init__(message)
        self.exit_code = exit_code
        self.reason = reason
        self.message = message
        self.problems = problems or []

    def as_json(self) -> dict:
        errors = [problem.as_json() for problem in self.problems[:PROBLEMS_MAX]]
        return {"reason": self.reason, "message": self.message, "errors": errors}


class BadRequest(WorkerError):
    """The job asks for something that cannot be done. Never retried."""

    def __init__(self, message: str, problems: list[Problem] | None = None):
        super().__init__(EXIT_BAD_REQUEST, "bad_config", message, problems)

    @classmethod
    def at(cls, pointer: str, detail: str) -> BadRequest:
        """A request with one problem, at a JSON pointer inside the job's body."""
        return cls(detail, [Problem(detail, pointer)])


class BadData(WorkerError):
    """The data are not what the job needs. Never retried."""

    def __init__(self, message: str, problems: list[Problem] | None = None):
        super().__init__(EXIT_BAD_DATA, "bad_data", message, problems)


def classify(error: Exception) -> WorkerError:
    """The worker error behind any exception: itself, a full disk, a full GPU, or `internal_error`."""
    if isinstance(error, WorkerError):
        return error
    if disk_is_full(error):
        return WorkerError(EXIT_FAILED, "disk_full", f"no space left on the disk: {error}")
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error):
        return WorkerError(EXIT_FAILED, "cuda_oom", f"the GPU is out of memory: {first_line(error)}")
    return WorkerError(EXIT_FAILED, "internal_error", f"{type(error).__name__}: {first_line(error)}")


def tell(error: Exception) -> WorkerError:
    """Say on stderr what went wrong, with the stack where nobody expected it; returns what it is classified as."""
    failure = classify(error)
    if not isinstance(error, WorkerError):
        traceback.print_exception(error)
    print(f"error: {failure.message}", file=sys.stderr)
    for problem in failure.problems:
        print(f"  {problem}", file=sys.stderr)
    return failure


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an exception, or what caused it, is ENOSPC or EDQUOT.

    safetensors and tokenizers carry the errno only in their text, and torch.save tells only that a write failed.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        text = str(error)
        if "No space left on device" in text or f"os error {errno.ENOSPC}" in text:
            return True
        if "PytorchStreamWriter failed writing" in text and checkpoint_disk_has_no_room():
            return True
        error = error.__cause__ or error.__context__
    return False


def checkpoint_disk_has_no_room() -> bool:
    """Whether less than a mebibyte is left where checkpoints go."""
    folder = os.environ.get("ANNEAL_CHECKPOINT_DIR")
    if not folder or not os.path.isdir(folder):
        return False
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < 1 << 20


def first_line(error: Exception) -> str:
    """The first line of an exception's text, as torch's go on for pages."""
    return (str(error).splitlines() or [""])[0]
