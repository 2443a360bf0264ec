"""`python -m anneal_trainer.block_selection`: which alternative each layer of a smaller model gets (Puzzle,
arXiv:2411.19146, section 4).

Reads one JSON object: `{"layers": [[{"name"?, "loss", "memory"?, "runtime"?}, …], …], "memory_max"?, "runtime_max"?,
"unlike"?, "alike_max"?}`. `loss` is what the model loses where the layer has that alternative alone; the loss of a
model is their sum, and so are memory (any unit) and runtime. `unlike` is an earlier selection, the places of its
alternatives, of which at most the share `alike_max` (0.8) of layers may be the same.
Writes `{"choice": [places from 0], "names", "loss", "memory", "runtime"}`.
"""

from __future__ import annotations

import argparse
import bisect
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import EXIT_FAILED, BadRequest, WorkerError, tell
from .fields import is_number

#: Partial selections that are kept at once; beyond it a search would fill the memory.
PARTIAL_MAX = 2_000_000


@dataclass(frozen=True)
class Alternative:
    """One form that a layer can have; what it costs is added up over the layers."""

    loss: float
    memory: float = 0.0
    runtime: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Selection:
    """The alternative of each layer, by its place, and the sums."""

    choice: list[int]
    loss: float
    memory: float
    runtime: float


def select(
    layers: Sequence[Sequence[Alternative]],
    memory_max: float = float("inf"),
    runtime_max: float = float("inf"),
    unlike: Sequence[int] | None = None,
    alike_max: float = 0.8,
) -> Selection:
    """The selection of the least loss within the limits. Raises `WorkerError` (`infeasible`) where there is none.

    Layer after layer, of all partial selections those are kept that no other beats in loss, memory, runtime and
    likeness at once, and from which the limits can still be met: exact, as the mixed-integer program of the paper is.
    """
    alike_limit = alike_max * len(layers) if unlike is not None else float("inf")
    least_memory, least_runtime = (
        rests([min(getattr(each, name) for each in layer) for layer in layers]) for name in ("memory", "runtime")
    )
    partial: list[tuple[tuple[float, float, float, int], tuple]] = [((0.0, 0.0, 0.0, 0), ())]
    for place, layer in enumerate(layers):
        extended = []
        for (loss, memory, runtime, alike), chosen in partial:
            for number, one in enumerate(layer):
                sums = (loss + one.loss, memory + one.memory, runtime + one.runtime, alike)
                if unlike is not None and unlike[place] == number:
                    sums = (*sums[:3], alike + 1)
                fits = within(sums[1] + least_memory[place + 1], memory_max)
                fits = fits and within(sums[2] + least_runtime[place + 1], runtime_max)
                if fits and within(sums[3], alike_limit):
                    extended.append((sums, (chosen, number)))
        partial = undominated(extended)
        if len(partial) > PARTIAL_MAX:
            detail = f"more than {PARTIAL_MAX} partial selections are open"
            raise WorkerError(EXIT_FAILED, "too_many_selections", detail)
    if not partial:
        limits = f"memory {memory_max:g} and runtime {runtime_max:g}" + (" and diversity" if unlike is not None else "")
        raise WorkerError(EXIT_FAILED, "infeasible", f"no selection meets the limits of {limits}")
    (loss, memory, runtime, _), chain = min(partial, key=lambda one: one[0])
    choice: list[int] = []
    while chain:
        chain, number = chain
        choice.insert(0, number)
    return Selection(choice, loss, memory, runtime)


def within(value: float, limit: float) -> bool:
    """Whether a sum is within a limit, but for rounding."""
    return value <= limit + 1e-9 * max(1.0, abs(value))


def rests(values: Sequence[float]) -> list[float]:
    """The sum of the values from each place on; one more than there are values."""
    found = [0.0]
    for value in reversed(values):
        found.insert(0, found[0] + value)
    return found


def undominated(found: list[tuple[tuple[float, float, float, int], tuple]]) -> list:
    """The partial selections that no other beats or equals in every sum; of equal ones the first."""
    found.sort(key=lambda one: one[0])
    kept: list = []
    # By likeness, of all that are kept: memory rising, and the least runtime of so much memory falling.
    stairs: dict[int, tuple[list[float], list[float]]] = {}
    for one in found:
        _, memory, runtime, alike = one[0]
        if any(alike >= other and is_beaten(stair, memory, runtime) for other, stair in stairs.items()):
            continue
        kept.append(one)
        memories, runtimes = stairs.setdefault(alike, ([], []))
        place = bisect.bisect_left(memories, memory)
        end = place
        while end < len(memories) and runtimes[end] >= runtime:
            end += 1
        memories[place:end], runtimes[place:end] = [memory], [runtime]
    return kept


def is_beaten(stair: tuple[list[float], list[float]], memory: float, runtime: float) -> bool:
    """Whether some step of a staircase has no more of either."""
    place = bisect.bisect_right(stair[0], memory)
    return place > 0 and stair[1][place - 1] <= runtime


def parse(document: object) -> tuple[list[list[Alternative]], dict]:
    """The layers and the options of `select` in a document. Raises `BadRequest` with a pointer at what is wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("layers"), list) or not document["layers"]:
        raise BadRequest.at("/layers", "must be a list of layers, each a list of alternatives")
    layers = []
    for place, layer in enumerate(document["layers"]):
        if not isinstance(layer, list) or not layer:
            raise BadRequest.at(f"/layers/{place}", "must be a list of alternatives that is not empty")
        for number, one in enumerate(layer):
            here = f"/layers/{place}/{number}"
            if not isinstance(one, dict) or "loss" not in one:
                raise BadRequest.at(here, "must be an object with 'loss'")
            for key in ("loss", "memory", "runtime"):
                if not is_number(one.get(key, 0)) or (key != "loss" and one.get(key, 0) < 0):
                    bound = "" if key == "loss" else " of at least 0"
                    raise BadRequest.at(f"{here}/{key}", f"must be a number{bound}")
        names = Alternative.__annotations__
        layers.append([Alternative(**{key: one[key] for key in names if key in one}) for one in layer])
    options = {key: document[key] for key in ("memory_max", "runtime_max", "alike_max") if document.get(key) is not None}
    for key, value in options.items():
        if not is_number(value):
            raise BadRequest.at(f"/{key}", "must be a number")
    unlike = document.get("unlike")
    if unlike is not None:
        if not isinstance(unlike, list) or len(unlike) != len(layers):
            raise BadRequest.at("/unlike", f"must be a list of {len(layers)} places, one for each layer")
        options["unlike"] = unlike
    return layers, options


def main(arguments: list[str] | None = None) -> int:
    """Select from the document of a file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="anneal_trainer.block_selection", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="the JSON document with layers and limits")
    options = parser.parse_args(arguments)
    try:
        try:
            document = json.loads(options.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadRequest(f"cannot read {options.file}: {error}") from error
        layers, limits = parse(document)
        found = select(layers, **limits)
        names = [layer[number].name for layer, number in zip(layers, found.choice, strict=True)]
        print(json.dumps(vars(found) | {"names": names}))
    except Exception as error:
        return tell(error).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
