#!/usr/bin/env bash
# anneal-ci.sh SPEC [KEY=VALUE …]: submits an experiment, waits for its end, says what came of it, and fails where it failed.
#
# Needs curl and jq alone. KEY=VALUE are overrides as of 'anneal submit --set'. Environment:
#   ANNEAL_URL      the daemon, such as https://anneal.example.org
#   ANNEAL_TOKEN    a token that may submit; none where the daemon asks for none
#   ANNEAL_RUN_KEY  names this run: the same key submits once, however often the step is repeated
#   ANNEAL_CANCEL   1 cancels the experiment when this script is ended by a signal
#   REPORT          a file that gets the report as Markdown (default: report.md)
#   COMMENT_URL     where the report is posted as {"body": "…"} with COMMENT_HEADER, such as a pull request's comments
# Exit status: 0 all succeeded, 1 a job failed or a gate was missed, 2 the spec was refused, 5 no daemon answers.
set -euo pipefail

spec=$1
shift
url=${ANNEAL_URL:?set ANNEAL_URL}
report=${REPORT:-report.md}

call() { # METHOD PATH [curl's arguments]: prints the body; fails with the daemon's words where it answers with an error
    local method=$1 path=$2 body status
    shift 2
    body=$(mktemp)
    status=$(curl --silent --show-error --retry 5 --retry-connrefused --output "$body" --write-out '%{http_code}' --request "$method" \
        ${ANNEAL_TOKEN:+--header "Authorization: Bearer $ANNEAL_TOKEN"} "$@" "$url$path") || { rm -f "$body"; return 5; }
    if [ "$status" -ge 400 ]; then
        jq -r '"\(.title): \(.detail // "")", (.errors[]? | "  \(.pointer) \(.detail)")' "$body" >&2 || cat "$body" >&2
        rm -f "$body"
        [ "$status" -lt 500 ] && return 2 || return 5
    fi
    cat "$body"
    rm -f "$body"
}

query=
for override in "$@"; do query="$query&set=$(jq -rn --arg text "$override" '$text | @uri')"; done
experiment=$(call POST "/v1/experiments?${query#&}" --header 'Content-Type: application/yaml' --data-binary "@$spec" \
    ${ANNEAL_RUN_KEY:+--header "Idempotency-Key: $ANNEAL_RUN_KEY"} | jq -r .id)
echo "submitted $experiment"
if [ "${ANNEAL_CANCEL:-0}" = 1 ]; then trap 'call POST "/v1/experiments/$experiment/cancel" >/dev/null; exit 1' INT TERM; fi

# Each request but the first is held until the end, or half a minute.
told= wait=0
while :; do
    view=$(call GET "/v1/experiments/$experiment?wait=$wait")
    wait=30
    counts=$(jq -r '[.jobs[].state] | group_by(.) | map("\(length) \(.[0])") | join(", ")' <<<"$view")
    if [ "$counts" != "$told" ]; then echo "$counts"; told=$counts; fi
    [ "$(jq -r '.finished_at != null' <<<"$view")" = true ] && break
done

{
    jq -r '"### Anneal: `\(.name)` \(.state)\n", (.message // empty | "\(.)\n"), "| job | kind | state |", "|---|---|---|",
        (.jobs[] | "| \(.name) | \(.kind) | \(.state) |")' <<<"$view"
    for evaluation in $(call GET "/v1/evaluations?experiment=$experiment" | jq -r '.data[].id'); do
        echo
        call GET "/v1/evaluations/$evaluation/report?format=markdown"
        call GET "/v1/evaluations/$evaluation" | jq -r '.gate // empty | "\nGate: **\(if .passed then "passed" else "missed" end)**",
            (.checks[] | "- \(.metric) \(.condition): \(.value) \(if .passed then "✓" else "✗" end)")'
    done
} >"$report"
cat "$report"

if [ -n "${COMMENT_URL:-}" ]; then
    jq -n --rawfile body "$report" '{body: $body}' | curl --silent --show-error --fail --output /dev/null --request POST \
        --header 'Content-Type: application/json' ${COMMENT_HEADER:+--header "$COMMENT_HEADER"} --data-binary @- "$COMMENT_URL"
fi
[ "$(jq -r .state <<<"$view")" = succeeded ]
