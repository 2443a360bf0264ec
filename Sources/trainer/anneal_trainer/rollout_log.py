"""rollouts.jsonl: a sample of each step's responses, for people to read. Bounded by step, by text and in all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .prompts import Prompt
    from .rollouts import Rollout, Sample

NAME = "rollouts.jsonl"
#: Characters of a prompt or a completion, and bytes of the whole file; past these the rest is left out.
TEXT_CHARACTERS_MAX = 16_384
FILE_BYTES_MAX = 256 << 20


class RolloutLog:
    """Appends lines `{"step", "prompt", "completion", "expected", "rewards", "reward", "advantage", "truncated",
    …}`."""

    def __init__(self, folder: Path, samples: int):
        self.path = folder / NAME
        #: Samples of one step.
        self.samples = samples

    def begin(self, step: int) -> None:
        """Start after `step`: what an earlier attempt wrote past its checkpoint is taken back."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(kept))
        temporary.rename(self.path)

    def write(self, step: int, rollout: Rollout, prompts: list[Prompt]) -> None:
        """Append samples of a rollout from which the step learned first: evenly over its prompts."""
        count = len(rollout.samples)
        kept = min(count, self.samples)
        chosen = [place * count // kept for place in range(kept)]
        lines = [json.dumps(self.line(step, rollout.samples[place], prompts), ensure_ascii=False) for place in chosen]
        data = "".join(line + "\n" for line in lines).encode(errors="replace")
        if data and self.path.stat().st_size + len(data) <= FILE_BYTES_MAX:
            with open(self.path, "ab") as file:
                file.write(data)

    def line(self, step: int, sample: Sample, prompts: list[Prompt]) -> dict:
        prompt = prompts[sample.prompt]
        asked = "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)
        return {
            "step": step,
            "line": prompt.line,
            "prompt": asked[:TEXT_CHARACTERS_MAX],
            "completion": sample.text[:TEXT_CHARACTERS_MAX],
            "expected": None if prompt.expected is None else prompt.expected[:TEXT_CHARACTERS_MAX],
            "rewards": sample.rewards,
            "reward": sample.reward,
            "advantage": sample.advantage,
            "tokens": len(sample.ids),
            "truncated": sample.truncated,
            "is_cut": max(len(asked), len(sample.text)) > TEXT_CHARACTERS_MAX,
        }
