"""podman for the tests: a storage of their own, and an image that borrows the machine's programs."""

import io
import json
import resource
import shutil
import subprocess
import tarfile
import tempfile

#: What the image takes from the machine, read-only.
BORROWED = [path for path in ("/usr", "/opt/swift") if shutil.os.path.isdir(path)]
IMAGE = "localhost/anneal-test:1"


class Podman:
    """podman with its storage below `folder`, by the first low-level runtime with which a container runs on this machine."""

    def __init__(self, folder):
        self.problem = "podman is not installed"
        self.options = []
        if not shutil.which("podman"):
            return
        # podman takes no path of more than 50 characters there.
        self.run_root = tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp")
        storage = ["--root", f"{folder}/storage", "--runroot", self.run_root.name, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
        # A container must not ask for more than the tests themselves may have.
        self.ulimits = {name: min(*resource.getrlimit(kind), wanted) for name, kind, wanted in LIMITS}
        subprocess.run(["podman", *storage, "import", "-", IMAGE], input=image(), capture_output=True)
        for runtime in ("crun", "runc"):
            self.options = [*storage, "--runtime", runtime]
            limits = [word for name, value in self.ulimits.items() for word in ("--ulimit", f"{name}={value}:{value}")]
            mounts = [word for path in BORROWED for word in ("--mount", f"type=bind,source={path},target={path},readonly")]
            trial = self("run", "--rm", "--init", "--network", "host", "--log-driver", "passthrough", *limits, *mounts, IMAGE, "true")
            if trial.returncode == 0:
                self.problem = None
                return
            self.problem = f"podman cannot run containers here: {trial.stderr.strip()[-300:]}"

    def __call__(self, *arguments):
        return subprocess.run(["podman", *self.options, *arguments], capture_output=True, text=True)

    def names(self):
        """Of all containers, also those that have ended."""
        return self("ps", "--all", "--format", "{{.Names}}").stdout.split()

    def configuration(self):
        """The daemon's `containers`, as JSON, which YAML takes."""
        return json.dumps(
            {"runtime": "podman", "options": self.options, "gpus": "none", "ulimits": self.ulimits, "mounts": [f"{path}:{path}:ro" for path in BORROWED]}
        )


LIMITS = [("nofile", resource.RLIMIT_NOFILE, 1024), ("nproc", resource.RLIMIT_NPROC, 4096), ("memlock", resource.RLIMIT_MEMLOCK, 65536)]


def image() -> bytes:
    """A root filesystem that is nothing but folders, and links into the borrowed /usr, as a tar."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("usr", "opt", "tmp", "etc", "proc", "sys", "dev", "run"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        for name in ("bin", "sbin", "lib", "lib64"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(entry)
    return archive.getvalue()
