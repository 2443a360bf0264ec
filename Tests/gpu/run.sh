#!/bin/bash
# Unpacks the archive beside this file and runs the GPU trial; results go to $OUT, or to ./gpu-results. Arguments are the trial's.
#
#   bash .cache/gpu/run.sh                 everything
#   bash .cache/gpu/run.sh --parts sft oom only these parts (and what they need)
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
work="${ANNEAL_GPU_WORK:-/tmp/anneal-gpu}"
rm -rf "$work"
mkdir -p "$work/site" "$work/bin"
tar --extract --xz --file "$here/anneal-gpu.tar.xz" --directory "$work"

# The machine's own Python with its CUDA build of torch, and the packages that it lacks in a folder of their own.
python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" "$work"/wheels/*.whl
python3 -m venv --without-pip "$work/python"
packages="$("$work/python/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
python3 - "$packages/machine.pth" "$work/site" <<'P'
import site, sys
# The carried packages first; then the machine's, with the paths that its own .pth files add.
own = [path for path in sys.path if path.endswith("-packages")] + site.getsitepackages()
lines = [sys.argv[2]] + [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(own)]
open(sys.argv[1], "w").write("\n".join(lines) + "\n")
P
printf '#!%s\nfrom transformers.cli.transformers import main\nmain()\n' "$work/python/bin/python" >"$work/python/bin/transformers"
chmod +x "$work/python/bin/transformers"

if [[ -d "$work/slurm" ]]; then
    export PATH="$work/slurm/bin:$PATH" ANNEAL_SLURM_PLUGINS="$work/slurm/plugins"
    export LD_LIBRARY_PATH="$work/slurm/lib:$work/slurm/plugins${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    # Where Debian's slurmd looks for it.
    [[ -e /usr/sbin/slurmstepd ]] || ln --symbolic "$work/slurm/bin/slurmstepd" /usr/sbin/slurmstepd
fi

export LD_LIBRARY_PATH="$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export ANNEAL_PROGRAMS="$work/bin" ANNEAL_PYTHON="$work/python/bin/python" ANNEAL_TRAINER="$work/share/anneal/trainer"
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
exec "$ANNEAL_PYTHON" -B "$work/Tests/gpu/trial.py" --work "$work/data" --out "${OUT:-gpu-results}" "$@"
