#!/usr/bin/env bash
# The demo: starts a daemon of its own, submits deploy/examples/demo.yaml, follows it to its end, shows what came out and where it came
# from, and stops the daemon again. `make demo` builds what it needs. Each run starts with an empty data folder, so that it trains anew;
# what the last run left stays in .cache/demo to be looked at.
#
# With --slurm the same spec runs on the Slurm cluster that sbatch reaches from here (`make demo-slurm`). The data folder must be on a
# disk that its nodes share, and they must find Python's packages where they are here; what was left is in .cache/demo-slurm.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${ANNEAL_PROGRAMS:-$PWD/.build/release}
data=$PWD/.cache/demo
place=() configuration=()
if [[ ${1:-} == --slurm ]]; then
    data=$PWD/.cache/demo-slurm
    place=(--set cluster=slurm) configuration=(--config "$data/anneal.yaml")
fi
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=7600
while listening "$port"; do port=$((port + 1)); done
export ANNEAL_URL=http://127.0.0.1:$port
unset ANNEAL_TOKEN ANNEAL_CONFIG

rm -rf "$data"
mkdir -p "$data"
if [[ ${#place[@]} -gt 0 ]]; then echo "clusters: {slurm: {executor: slurm}}" >"$data/anneal.yaml"; fi
daemon=
stop() {
    if [[ -n $daemon ]]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
}
trap stop EXIT
trap 'exit 130' INT TERM

shown=$(realpath --relative-to="$PWD" "$data")
say "Starting the daemon: anneald --data $shown --listen 127.0.0.1:$port"
"$programs/anneald" --data "$data" --listen "127.0.0.1:$port" --gpus none "${configuration[@]}" >"$data/anneald.log" 2>&1 &
daemon=$!
until curl --silent --fail --output /dev/null "$ANNEAL_URL/healthz"; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        echo "the daemon did not start:"
        cat "$data/anneald.log"
        exit 1
    fi
    sleep 0.1
done

say "Its curves in a browser, while it runs: $ANNEAL_URL/"

say "Submitting the experiment: anneal submit deploy/examples/demo.yaml${place:+ ${place[*]}} --watch"
if ! "$programs/anneal" submit deploy/examples/demo.yaml "${place[@]}" --watch; then
    echo "the experiment did not succeed; the end of the daemon's log:"
    tail -n 40 "$data/anneald.log"
    exit 1
fi

say "Before and after: anneal evaluations"
"$programs/anneal" evaluations

evaluation=$(curl --silent --fail "$ANNEAL_URL/v1/evaluations?limit=1" | jq --raw-output '.data[0].id')
say "Which data, spec and checkpoint made the number: anneal lineage $evaluation"
"$programs/anneal" lineage "$evaluation"

say "Done. Look around with: $(realpath --relative-to="$PWD" "$programs")/anneald --data $shown"
