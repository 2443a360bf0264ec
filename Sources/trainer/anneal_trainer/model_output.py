"""A model that is either whole or absent: made under a temporary name, synced, and renamed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import durable


@contextmanager
def making(final: Path, create: bool = True) -> Iterator[Path]:
    """The temporary folder to make a model in; it gets its name when the block ends, and goes where the block fails.

    Without `create` there is none yet, for programs that insist on making it themselves.
    """
    temporary = final.with_name(f"tmp_{final.name}")
    final.parent.mkdir(parents=True, exist_ok=True)
    for stale in (temporary, final):
        # A model that is there already comes from an earlier attempt at this same job.
        remove(stale)
    if create:
        temporary.mkdir()
    try:
        yield temporary
    except BaseException:
        remove(temporary)
        raise
    durable.sync_tree(temporary)
    temporary.rename(final)
    durable.sync_folder(final.parent)


def remove(path: Path) -> None:
    """Delete a file or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
