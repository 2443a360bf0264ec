"""metrics.jsonl: one JSON object a line, each written by one write(2), so that a reader never sees half a line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class MetricsLog:
    """Appends metric lines. With no path it writes nothing, which is what ranks other than 0 do."""

    def __init__(self, path: Path | None):
        self.descriptor = None
        if path is not None:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append the values of a step. NaN and infinities are written bare, as Python's json does."""
        if self.descriptor is None:
            return
        line = json.dumps({"step": step, "time": time.time(), **values}) + "\n"
        data = line.encode()
        written = os.write(self.descriptor, data)
        # A short write means that the disk just became full; writing the rest raises the error that says so.
        while written < len(data):
            written += os.write(self.descriptor, data[written:])

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
