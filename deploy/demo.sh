#!/usr/bin/env bash
# The demo: starts a daemon of its own, submits deploy/examples/demo.yaml, follows it to its end, shows what came out and where it came
# from, and stops the daemon again. `make demo` builds what it needs. Each run starts with an empty data folder, so that it trains anew;
# what the last run left stays in .cache/demo to be looked at.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=$PWD/.build/release
data=$PWD/.cache/demo
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=7600
while listening "$port"; do port=$((port + 1)); done
export ANNEAL_URL=http://127.0.0.1:$port
unset ANNEAL_TOKEN ANNEAL_CONFIG

rm -rf "$data"
mkdir -p "$data"
daemon=
stop() {
    if [[ -n $daemon ]]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
}
trap stop EXIT
trap 'exit 130' INT TERM

say "Starting the daemon: anneald --data .cache/demo --listen 127.0.0.1:$port"
"$programs/anneald" --data "$data" --listen "127.0.0.1:$port" --gpus none >"$data/anneald.log" 2>&1 &
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

say "Submitting the experiment: anneal submit deploy/examples/demo.yaml --watch"
if ! "$programs/anneal" submit deploy/examples/demo.yaml --watch; then
    echo "the experiment did not succeed; the end of the daemon's log:"
    tail -n 40 "$data/anneald.log"
    exit 1
fi

say "Before and after: anneal evaluations"
"$programs/anneal" evaluations

evaluation=$(curl --silent --fail "$ANNEAL_URL/v1/evaluations?limit=1" | jq --raw-output '.data[0].id')
say "Which data, spec and checkpoint made the number: anneal lineage $evaluation"
"$programs/anneal" lineage "$evaluation"

say "Done. Look around with: $(realpath --relative-to="$PWD" "$programs")/anneald --data .cache/demo"
