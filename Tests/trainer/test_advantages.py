"""Advantages and the shaping of rewards, on the published vectors."""

import pytest

from anneal_trainer.advantages import Overlong, RewardScaling, clipped, deviation, group_advantages, shaped


@pytest.mark.parametrize(
    ("rewards", "leave_one_out", "expected"),
    [
        # The lone winner has only equal others, so no deviation, and is not normalised.
        ([1, 0, 0, 0], True, [1.0, -0.577349, -0.577349, -0.577349]),
        ([1, 0, 0, 0], False, [1.499997, -0.499999, -0.499999, -0.499999]),
        ([1, 1, 0, 0], True, [1.154699, 1.154699, -1.154699, -1.154699]),
        ([1, 1, 0, 0], False, [0.866024, 0.866024, -0.866024, -0.866024]),
        ([1, 1, 1, 1], True, [0, 0, 0, 0]),
        ([0.1, 0.1, 0.1], False, [0, 0, 0]),
        # (0.1 + 0.1 + 0.1) / 3 is not 0.1: the winner's equal others must have no deviation all the same.
        ([1, 0.1, 0.1, 0.1], True, [0.9, -0.577349, -0.577349, -0.577349]),
        ([0.7] * 16, True, [0] * 16),
        # With two responses each has one other, whose deviation is none: never normalised.
        ([3, 1], True, [2, -2]),
        ([3, 1], False, [0.707106, -0.707106]),
    ],
)
def test_advantages_of_a_group(rewards, leave_one_out, expected):
    assert group_advantages(rewards, leave_one_out, True) == pytest.approx(expected, abs=1e-6)


def test_without_normalisation_the_difference_stays():
    assert group_advantages([1, 0, 0, 0], True, False) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    assert group_advantages([1, 0, 0, 0], False, False) == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_responses_that_do_not_count_are_left_out_of_the_baseline():
    found = group_advantages([1, 0, 9], True, False, valid=[True, True, False])
    assert found == pytest.approx([1, -1, 8.5])
    assert group_advantages([1, 0, 9], True, True, valid=[True, False, False]) == [0, 0, 0]


@pytest.mark.parametrize(("length", "change"), [(16384, 0), (18432, -0.5), (20480, -1), (24576, -2), (10, 0)])
def test_overlong_shaping(length, change):
    overlong = Overlong(buffer=4096, penalty=1.0, max_response_length=20480)
    assert overlong.apply(1.0, length) == pytest.approx(1 + change)


def test_a_proper_stop_takes_the_place_of_overlong_shaping():
    overlong = Overlong(buffer=4, penalty=1.0, max_response_length=8)
    assert shaped(1.0, 8, True, None, overlong, None) == 0
    assert shaped(1.0, 8, True, None, overlong, 0.25) == 0.25
    assert shaped(1.0, 8, False, None, overlong, 0.25) == 1


def test_rewards_are_clamped_and_mapped():
    scaling = RewardScaling(0, 1, -1, 1)
    assert [scaling.apply(reward) for reward in (-3, 0, 0.25, 1, 7)] == [-1, -1, -0.5, 1, 1]
    # Scaling comes first, then the length.
    assert shaped(0.0, 6, False, scaling, Overlong(4, 1.0, 8), None) == -1.5


def test_bounds_and_spread():
    assert [clipped(value, -1, 2) for value in (-5, 0, 5)] == [-1, 0, 2]
    assert clipped(-5, None, None) == -5
    assert deviation([1, 1, 1]) == 0 and deviation([1, 0]) == 0.5
    # Prompts whose responses all earn a tenth tell nothing either.
    assert deviation([0.1] * 3) == deviation([0.7] * 16) == 0
