"""Stop and save requests: SIGTERM saves and stops, SIGUSR1 saves and goes on."""

from __future__ import annotations

import os
import signal
from types import FrameType

from .errors import EXIT_RESUME


class StopSignals:
    """What was asked for by signals since the start. Handlers only set flags, so any number of them is harmless.

    Before the first training step there is nothing to save: SIGTERM then ends the process at once, resumable.
    """

    def __init__(self) -> None:
        self.stop_requested = False
        self.save_requested = False
        self.stepping = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self.on_terminate)
        signal.signal(signal.SIGUSR1, self.on_user)

    def begin_stepping(self) -> None:
        """From now on there is work worth saving, and the training loop watches the flags."""
        self.stepping = True

    def on_terminate(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True
        if not self.stepping:
            # print() could find its own lock taken by the code that was interrupted.
            os.write(1, b"stopped before the first step; nothing to save\n")
            os._exit(EXIT_RESUME)

    def on_user(self, number: int, frame: FrameType | None) -> None:
        self.save_requested = True
