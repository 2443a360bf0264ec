"""Stand-ins for container runtimes that cannot run here: they write down how they are called, and run the worker without a container.

Each is a program in Python; `Calls` reads what it wrote. What a real runtime would do with the words is for its own manual to say; that
the words are these, and that worker, logs, exit code and secrets pass through, is what the tests hold.
"""

import json
import os
import pathlib
import shutil
import sys

#: Written before the part of each runtime; `record` appends one call to the file beside the program.
HEAD = """#!{python} -B
import json, os, sys
def record():
    with open(__file__ + ".calls", "a") as file:
        file.write(json.dumps({{"argv": sys.argv[1:], "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}}) + "\\n")
record()
"""

#: docker(1) run: variables that are named come from the client's environment, or from the command line; nothing else does.
DOCKER = """
argv = sys.argv[1:]
if argv[0] != "run":
    sys.exit(0)
environment = {"PATH": os.environ["PATH"]}
for option, value in zip(argv, argv[1:]):
    if option == "--env":
        name, sign, text = value.partition("=")
        if sign or name in os.environ:
            environment[name] = text if sign else os.environ[name]
os.chdir(argv[argv.index("--workdir") + 1])
worker = argv[argv.index("IMAGE") + 1:]
os.execvpe(worker[0], worker, environment)
"""

#: apptainer(1) exec --cleanenv: variables come from APPTAINERENV_ alone.
APPTAINER = """
argv, prefix = sys.argv[1:], "APPTAINERENV_"
environment = {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix)}
os.chdir(argv[argv.index("--pwd") + 1])
worker = argv[argv.index("IMAGE") + 1:]
os.execvpe(worker[0], worker, {"PATH": os.environ["PATH"], **environment})
"""

#: srun(1) without the plug-in pyxis, whose options it would refuse: the rest goes to the real one.
SRUN = """
os.execv("{srun}", ["srun"] + [word for word in sys.argv[1:] if not word.startswith(("--container-", "--no-container-"))])
"""


class StandIn:
    """The program of a runtime in a folder of its own."""

    def __init__(self, folder: pathlib.Path, runtime: str):
        body = {"docker": DOCKER, "apptainer": APPTAINER, "pyxis": SRUN.replace("{srun}", shutil.which("srun") or "srun")}[runtime]
        self.runtime = runtime
        self.path = folder / ("srun" if runtime == "pyxis" else runtime)
        self.path.write_text(HEAD.format(python=sys.executable) + body)
        self.path.chmod(0o755)

    @property
    def configuration(self) -> dict:
        """`containers` of a cluster that has it."""
        return {"runtime": self.runtime, "program": str(self.path)}

    def calls(self) -> list[dict]:
        """`argv` and the GPUs that the client saw, of each call."""
        record = pathlib.Path(f"{self.path}.calls")
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []

    def run(self) -> dict:
        """The only call that began a worker."""
        [call] = [call for call in self.calls() if "IMAGE" in call["argv"] or any("image=IMAGE" in word for word in call["argv"])]
        return call


def secret_holders(*values: str) -> list[tuple[int, str]]:
    """Processes that hold one of the values in their environment or command line: process id and which of both."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                with open(f"/proc/{entry}/{name}", "rb") as text:
                    content = text.read()
            except OSError:
                continue
            if any(value.encode() in content for value in values):
                found.append((int(entry), name))
    return found
