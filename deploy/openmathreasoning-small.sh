#!/usr/bin/env bash
# The flow of deploy/examples/openmathreasoning.yaml on two CPU cores: makes tiny models and data with deploy/examples/toy-teacher.yaml, then
# runs the flow with them. It talks to the daemon that ANNEAL_URL names, and finds `anneal` in PATH or in .build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$PWD/.build/release

anneal submit deploy/examples/toy-teacher.yaml --wait

# The id of what a job of the first experiment put out.
toy=$(anneal show toy-teacher --json | jq --raw-output .id)
output() { anneal show "$toy/$1" --json | jq --raw-output ".outputs[\"$2\"].id"; }

anneal submit deploy/examples/openmathreasoning.yaml --watch \
    --set "vars.student=checkpoint:$(output student model)" \
    --set "vars.extractor=checkpoint:$(output teacher model)" \
    --set "vars.teacher=checkpoint:$(output teacher model)" \
    --set "vars.posts=$(output posts dataset)" \
    --set "vars.aime24=$(output contest-24 dataset)" \
    --set "vars.aime25=$(output contest-25 dataset)" \
    --set 'vars.server={engine: transformers, args: {device: cpu}, startup_timeout: 180s}' \
    --set vars.gpus=0 --set vars.posts_limit=240 --set vars.samples=2 \
    --set vars.solution_tokens=40 --set vars.baseline_tokens=24 --set vars.after_tokens=40 \
    --set 'vars.train={epochs: 30, global_batch_size: 16, micro_batch_size: 16, max_length: 96, learning_rate: 3.0e-3, schedule: cosine}' \
    --set 'vars.extract_prompt="{forum_post}"' --set 'vars.math_prompt="{problem}"'

anneal evaluations report openmathreasoning/baseline
anneal evaluations report openmathreasoning/after
anneal compare openmathreasoning/baseline openmathreasoning/after
