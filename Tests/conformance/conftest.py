"""A real daemon with something of everything in it."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import daemon as harness  # noqa: E402
from seeds import Seeds  # noqa: E402

CONFIGURATION = os.environ.get("ANNEAL_TEST_CONFIGURATION", "debug")


@pytest.fixture(scope="session")
def daemon():
    """The daemon under test. As root it is run as `nobody`: it gets specs that a program made up."""
    if not harness.program("anneald", CONFIGURATION).exists():
        pytest.skip(f"anneald is not built ({CONFIGURATION})")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="anneal-conformance-"))
    home = folder / "home"
    home.mkdir()
    wrapper = []
    if os.geteuid() == 0 and shutil.which("setpriv") and programs_readable_by_nobody():
        nobody = pwd.getpwnam("nobody")
        for path in (folder, home):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        wrapper = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--no-new-privs"]
    environment = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "ANNEAL_CONFIG": ""}
    try:
        with harness.running(
            folder / "data", CONFIGURATION, ["--gpus", "sim:2"], wrapper=wrapper, environment=environment, folder=home
        ) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs_readable_by_nobody() -> bool:
    """True where every folder down to the programs that are run may be entered by anybody."""
    programs = (harness.program("anneald", CONFIGURATION), pathlib.Path(sys.executable))
    return all(folder.stat().st_mode & 0o001 for program in programs for folder in program.resolve().parents)


@pytest.fixture(scope="session")
def seeds(daemon) -> Seeds:
    return Seeds.plant(daemon)
