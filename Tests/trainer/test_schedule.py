"""Steps, learning rates and sample order."""

import pytest

from anneal_trainer.schedule import learning_rate, sample_order, total_steps


@pytest.mark.parametrize(
    ("samples", "batch", "epochs", "max_steps", "expected"),
    [
        (7200, 256, 2, 55, 55),  # the article's run: 28 steps an epoch, capped
        (8000, 256, 2, None, 62),
        (10, 4, 3, None, 6),  # the partial batch of each epoch is dropped
        (10, 4, 3, 5, 5),
        (10, 4, 3, 100, 6),
        (4, 4, 1, None, 1),
        (3, 4, 9, None, 0),
    ],
)
def test_steps_are_whole_batches_of_every_epoch_up_to_the_limit(samples, batch, epochs, max_steps, expected):
    assert total_steps(samples // batch, epochs, max_steps) == expected


@pytest.mark.parametrize(("step", "rate"), [(0, 1.98e-7), (50, 1.0099e-5), (100, 2e-5), (630, 1.01e-5), (1160, 2e-7)])
def test_cosine_with_warmup_gives_the_known_rates(step, rate):
    assert learning_rate(step, 1160, "cosine", 2e-5, 2e-7, 100) == pytest.approx(rate, rel=1e-3)


def test_linear_falls_evenly_and_constant_not_at_all():
    linear = [learning_rate(step, 4, "linear", 1.0, 0.2, 0) for step in range(5)]
    assert linear == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert [learning_rate(step, 4, "constant", 1.0, 0.2, 1) for step in range(3)] == [0.5, 1, 1]


def test_a_run_shorter_than_its_warmup_only_rises():
    rates = [learning_rate(step, 3, "cosine", 1.0, 0.0, 9) for step in range(3)]
    assert rates == pytest.approx([0.1, 0.2, 0.3])


def test_each_epoch_is_a_permutation_of_its_own_without_its_partial_batch():
    order = list(sample_order(10, 4, 5, True, 42))
    assert len(order) == 20
    first, second, third = order[:8], order[8:16], order[16:]
    assert len(set(first)) == 8 and len(set(second)) == 8 and len(set(third)) == 4
    assert first != second
    assert order == list(sample_order(10, 4, 5, True, 42))
    assert order != list(sample_order(10, 4, 5, True, 43))


def test_a_longer_run_begins_as_a_shorter_one():
    assert list(sample_order(10, 4, 5, True, 1))[:12] == list(sample_order(10, 4, 3, True, 1))


def test_without_shuffling_the_file_order_holds():
    assert list(sample_order(5, 2, 4, False, 42)) == [0, 1, 2, 3, 0, 1, 2, 3]
