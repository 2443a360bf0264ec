"""Which alternative each layer gets: the published toy, and against trying all selections."""

import itertools
import json
import random

import pytest

from anneal_trainer.block_selection import Alternative, main, select
from anneal_trainer.errors import WorkerError

#: Three layers; A, B, C take memory 10, 6, 0 and runtime 6, 4, 1.
LOSSES = ((0, 0.10, 0.50), (0, 0.05, 0.30), (0, 0.20, 0.40))
LAYERS = [
    [Alternative(loss, memory, runtime, name) for loss, memory, runtime, name in zip(losses, (10, 6, 0), (6, 4, 1), "ABC")]
    for losses in LOSSES
]


@pytest.mark.parametrize(
    ("memory", "runtime", "loss", "choice"),
    [
        (30, 18, 0, "AAA"),
        (26, 18, 0.05, "ABA"),
        (22, 14, 0.15, "BBA"),
        (18, 12, 0.35, "BBB"),
        (16, 13, 0.40, "BCA"),
        (12, 9, 0.55, "BBC"),
        (0, 3, 1.2, "CCC"),
    ],
)
def test_the_known_selections(memory, runtime, loss, choice):
    found = select(LAYERS, memory, runtime)
    assert found.loss == pytest.approx(loss, abs=1e-6)
    assert "".join(LAYERS[0][number].name for number in found.choice) == choice


def test_what_no_selection_meets_is_told():
    with pytest.raises(WorkerError, match="no selection meets the limits of memory 0 and runtime 2"):
        select(LAYERS, 0, 2)


def test_it_finds_what_trying_all_finds():
    draw = random.Random(3)
    for _ in range(40):
        layers = [[Alternative(draw.random(), draw.randint(0, 9), draw.randint(0, 9)) for _ in range(4)] for _ in range(5)]
        limits = draw.randint(5, 30), draw.randint(5, 30)
        other = [draw.randrange(4) for _ in layers]
        losses = []
        for choice in itertools.product(range(4), repeat=5):
            picked = [layer[number] for layer, number in zip(layers, choice)]
            alike = sum(a == b for a, b in zip(choice, other))
            if sum(one.memory for one in picked) <= limits[0] and sum(one.runtime for one in picked) <= limits[1] and alike <= 2:
                losses.append(sum(one.loss for one in picked))
        try:
            found = select(layers, *limits, unlike=other, alike_max=0.4).loss
        except WorkerError:
            assert not losses
        else:
            assert found == pytest.approx(min(losses), abs=1e-9)


def test_the_program_reads_a_file_and_points_at_mistakes(tmp_path, capsys):
    file = tmp_path / "layers.json"
    layers = [[vars(one) for one in layer] for layer in LAYERS]
    file.write_text(json.dumps({"layers": layers, "memory_max": 12, "runtime_max": 9}))
    assert main([str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["names"] == ["B", "B", "C"] and found["loss"] == pytest.approx(0.55) and found["memory"] == 12
    file.write_text(json.dumps({"layers": [[{"loss": 1}], [{"loss": 1, "memory": -1}]]}))
    assert main([str(file)]) == 64 and "/layers/1/0/memory" in capsys.readouterr().err
