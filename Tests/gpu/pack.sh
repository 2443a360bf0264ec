#!/bin/bash
# Packs the GPU trial into .cache/gpu/anneal-gpu.tar.xz: the release programs with Swift inside, the libraries and Python packages that a
# plain GPU machine lacks, Slurm where it is installed here, the trainer, the dashboard and the trial itself. There, `run.sh` unpacks and runs
# it; no network is needed.
#
#   Tests/gpu/pack.sh [--no-build] [PYTHON]       PYTHON: the version of the machine's Python, 3.12 by default
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.cache/gpu
limit_mib=60

if [[ "${1:-}" == --no-build ]]; then shift; else swift build -c release --static-swift-stdlib; fi
python="${1:-3.12}"
wheels="$folder/wheels-$python"
programs=.build/release
tree="$folder/tree"
rm -rf "$tree"
mkdir -p "$tree"/{bin,lib,share/anneal,Tests} "$wheels"

for name in anneald anneal anneal-shim anneal-worker; do
    strip -o "$tree/bin/$name" "$programs/$name"
    chmod +x "$tree/bin/$name"
done

# Of the libraries that the programs ask for, those that a Linux server with CUDA has are not carried: one of the wrong distribution can do
# more harm than a missing one.
present='^(libc|libm|libdl|libpthread|librt|libutil|libresolv|ld-linux-x86-64|libgcc_s|libstdc\+\+|libcurl|libsqlite3|libz)\.so'
needed="$(readelf --dynamic "$tree"/bin/* | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u | grep --extended-regexp --invert-match "$present" || true)"
for name in $needed; do
    cp --dereference "$(ldd "$tree"/bin/* | awk -v name="$name" '$1 == name {path = $3} END {print path}')" "$tree/lib/$name"
done

if command -v sbatch slurmd slurmctld munged >/dev/null; then
    mkdir -p "$tree"/slurm/{bin,lib,plugins}
    for name in munged slurmctld slurmd slurmstepd sbatch srun squeue scancel sinfo scontrol; do
        cp --dereference "$(PATH="$PATH:/usr/sbin" command -v "$name")" "$tree/slurm/bin/$name"
    done
    cp /usr/lib/*/slurm-wlm/*.so "$tree/slurm/plugins/"
    # Only Slurm's programs and the workers that they start see these.
    ldd "$tree"/slurm/bin/* "$tree"/slurm/plugins/{auth,cred}_munge.so | awk '$3 ~ /^\// {print $1, $3}' | sort -u |
        { grep --extended-regexp --invert-match "$present" || true; } |
        while read -r name path; do cp --dereference "$path" "$tree/slurm/lib/$name"; done
fi

# The versions are those that the trainer is tested with; the machine's own torch, transformers, peft and accelerate are used.
version() { grep --max-count=1 --only-matching "^$1==[^ +]*" Sources/trainer/requirements.txt; }
wanted=("$(version trl)" "$(version datasets)" 'dill<0.4.2,>=0.3.0' 'multiprocess<0.70.20' "$(version fastapi)" "$(version uvicorn)"
    "$(version starlette)" "$(version pydantic)" "$(version openai)" annotated-types typing-inspection jiter sniffio 'httpx2<3' truststore
    opentelemetry-api "$(version math-verify)" "$(version latex2sympy2_extended)" 'antlr4-python3-runtime==4.13.2')
download() {
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "$python" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$wheels" "$@"
}
download "${wanted[@]}"
# Some packages want one exact version of a part of theirs.
requirement() { unzip -p "$wheels"/"$1"-*.whl '*/METADATA' | sed -n "s/^Requires-Dist: \($2==[^; ]*\).*/\1/p" | head -n 1; }
download "$(requirement pydantic pydantic-core)" "$(requirement httpx2 httpcore2)"

cp -r "$wheels" "$tree/wheels"
cp -r Sources/trainer "$tree/share/anneal/trainer"
cp -r Sources/dashboard "$tree/share/anneal/dashboard"
cp -r Tests/gpu Tests/harness "$tree/Tests/"
find "$tree" -name __pycache__ -prune -exec rm -rf {} +
# The programs share most of what is linked into them; a dictionary that spans them all keeps it once.
tar --create --directory "$tree" . | xz --threads=1 --lzma2=preset=5,dict=256MiB >"$folder/anneal-gpu.tar.xz"
cp Tests/gpu/run.sh "$folder/run.sh"
rm -rf "$tree"

size=$(($(stat --format=%s "$folder/anneal-gpu.tar.xz") >> 20))
echo "$folder/anneal-gpu.tar.xz: $size MiB; carry it with $folder/run.sh"
((size < limit_mib)) || { echo "more than $limit_mib MiB: it may be too large to carry" >&2; exit 1; }
