"""Run the program that converts for another engine, and look at the layout of what it left."""

from __future__ import annotations

import subprocess
from pathlib import Path

from . import layouts
from .errors import EXIT_BAD_DATA, EXIT_BAD_REQUEST, EXIT_FAILED, EXIT_RESUME, BadData, BadRequest

#: How many names of a folder an error lists.
NAMES_MAX = 20


class Failed(Exception):
    """A program that ended with an exit code other than 0, or by a signal."""

    def __init__(self, program: str, code: int):
        super().__init__(
            f"{program} ended with exit code {code}" if code > 0 else f"{program} was ended by signal {-code}"
        )
        #: As a shell tells it; codes that mean something else from this worker are told as a plain failure.
        self.exit_code = 128 - code if code < 0 else code
        if code in (EXIT_BAD_REQUEST, EXIT_BAD_DATA, EXIT_RESUME):
            self.exit_code = EXIT_FAILED


def run(command: list[str], model: Path, output: Path) -> None:
    """Run a program with the folders in the place of {model} and {output}. Raises `Failed`.

    What it prints goes into the job's log. It is of the job's process group, so that it ends with the job.
    """
    argv = [word.replace("{model}", str(model)).replace("{output}", str(output)) for word in command]
    print(f"running: {' '.join(argv)}", flush=True)
    try:
        code = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL).returncode
    except OSError as error:
        raise BadRequest.at("/command/0", f"cannot run {argv[0]}: {error.strerror}") from error
    if code:
        raise Failed(argv[0], code)


def check_layout(layout: str, folder: Path) -> None:
    """Raises `BadData` that names everything the folder lacks, and what lies there instead."""
    lacking = layouts.lacks(layout, folder)
    if not lacking:
        return
    if not folder.exists():
        raise BadData(f"the program ended well, but made no {folder}; its command must write to '{{output}}'")
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir()) if folder.is_dir() else []
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    there = f"it holds {', '.join(names[:NAMES_MAX])}{more}" if names else "it holds nothing"
    raise BadData(f"the program's result has not the layout of {layout}: it lacks {', '.join(lacking)}; {there}")
