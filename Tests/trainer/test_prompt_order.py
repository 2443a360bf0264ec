"""Which prompts a rollout asks: each once in a pass, from easy to hard under a curriculum, and the same after a resume."""

import pytest

from anneal_trainer.prompt_order import Curriculum, PromptOrder

RATES = [level / 8 for level in range(6) for _ in range(32)]


def draws(order: PromptOrder, count: int) -> list[list[int]]:
    return [order.draw(number / max(1, count - 1)) for number in range(count)]


def test_each_pass_takes_every_prompt_once_in_an_order_of_its_own():
    order = PromptOrder(12, 4, seed=7)
    first, second = sum(draws(order, 3), []), sum(draws(order, 3), [])
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second and first != sorted(first)
    assert sum(draws(PromptOrder(12, 4, seed=7), 3), []) == first
    assert sum(draws(PromptOrder(12, 4, seed=8), 3), []) != first
    assert sum(draws(PromptOrder(6, 3, seed=7, shuffle=False), 2), []) == [0, 1, 2, 3, 4, 5]


def test_a_batch_goes_on_into_the_next_pass():
    order = PromptOrder(5, 3, seed=1)
    taken = sum(draws(order, 5), [])
    assert [taken.count(prompt) for prompt in range(5)] == [3] * 5


def test_a_curriculum_moves_from_easy_to_hard_and_uses_every_prompt():
    order = PromptOrder(len(RATES), 24, seed=3, curriculum=Curriculum(), rates=RATES)
    batches = draws(order, 8)
    assert sorted(sum(batches, [])) == list(range(len(RATES)))
    means = [sum(RATES[prompt] for prompt in batch) / len(batch) for batch in batches]
    assert means[0] > 0.5 and means[-1] < 0.2
    # The last batches take what is left.
    assert means[:5] == sorted(means[:5], reverse=True)
    # Inside a batch the levels are mixed.
    assert batches[3] != sorted(batches[3], key=lambda prompt: -RATES[prompt])


def test_the_share_of_each_level_is_a_gaussian_around_the_centre():
    order = PromptOrder(len(RATES), 24, seed=3, curriculum=Curriculum(), rates=RATES)
    order.fill()
    # The centre is the easiest level, 0.625; one level is one deviation.
    amounts = order.amounts(0.0, 24)
    weights = [2.718281828 ** (-(steps**2) / 2) for steps in range(5, -1, -1)]
    shares = [weight / sum(weights) * 24 for weight in weights]
    assert sum(amounts) == 24
    assert all(abs(amount - share) < 1 for amount, share in zip(amounts, shares, strict=True))


def test_what_a_level_lacks_comes_from_the_fullest():
    order = PromptOrder(9, 6, seed=1, curriculum=Curriculum(width=0.01), rates=[0.5] + [0.25] * 3 + [0.0] * 5)
    order.fill()
    assert order.amounts(0.0, 6) == [3, 2, 1]


def test_levels_of_equal_width():
    curriculum = Curriculum(levels=4)
    assert [curriculum.level(rate) for rate in (0, 0.24, 0.25, 0.99, 1)] == [0.125, 0.125, 0.375, 0.875, 0.875]


@pytest.mark.parametrize("curriculum", [None, Curriculum()])
def test_a_resumed_order_goes_on_as_if_it_had_not_stopped(curriculum):
    whole = PromptOrder(len(RATES), 20, 5, curriculum=curriculum, rates=RATES)
    batches = draws(whole, 12)
    resumed = PromptOrder(len(RATES), 20, 5, curriculum=curriculum, rates=RATES)
    resumed.replay(whole.draws[:7])
    assert [resumed.draw(progress) for progress in whole.draws[7:]] == batches[7:]
