"""The terms of the distillation loss against numbers worked out by hand, to 1e-6."""

import math

import pytest
import torch

from anneal_trainer.distillation_loss import blend, divergences, entropy, hidden_distance, layer_map, top_logits

#: p_T = (1/2, 1/4, 1/4) and p_S = (1/4, 1/2, 1/4).
TEACHER = torch.tensor([[2.0, 1.0, 1.0]]).log()
STUDENT = torch.tensor([[1.0, 2.0, 1.0]]).log()
LN2 = math.log(2)


def both(student, teacher, **options):
    forward, reverse = divergences(student, *top_logits(teacher, options.pop("topk", None)), **options)
    return forward.item(), reverse.item()


def test_both_directions_over_the_whole_vocabulary():
    # ½ ln 2 − ¼ ln 2, and the same the other way, since the two are mirror images.
    assert both(STUDENT, TEACHER) == pytest.approx((LN2 / 4, LN2 / 4), abs=1e-6)
    # p_S = (1/8, 1/8, 3/4): Σ p_T ln(p_T / p_S) = ½ ln 4 + ¼ ln 2 + ¼ ln ⅓; Σ p_S ln(p_S / p_T) = ⅛ ln ¼ + ⅛ ln ½ + ¾ ln 3.
    skewed = torch.tensor([[1.0, 1.0, 6.0]]).log()
    forward = 0.5 * math.log(4) + 0.25 * LN2 - 0.25 * math.log(3)
    reverse = -0.125 * math.log(4) - 0.125 * LN2 + 0.75 * math.log(3)
    assert both(skewed, TEACHER) == pytest.approx((forward, reverse), abs=1e-6)
    assert both(TEACHER, TEACHER) == pytest.approx((0, 0), abs=1e-6)


def test_temperature_flattens_both():
    # At T = 2 the odds are √2 : 1 : 1 and 1 : √2 : 1.
    odds = math.sqrt(2)
    high, low = odds / (odds + 2), 1 / (odds + 2)
    expected = (high - low) * math.log(odds)
    assert both(STUDENT, TEACHER, temperature=2.0) == pytest.approx((expected, expected), abs=1e-6)


def test_over_the_top_k_both_are_normalised_among_them():
    # The teacher's two largest are tokens 2 and 0 with odds 4 : 2; the student's odds of these are 1 : 3.
    teacher = torch.tensor([[2.0, 1.0, 4.0]]).log()
    student = torch.tensor([[3.0, 8.0, 1.0]]).log()
    forward = 2 / 3 * math.log(8 / 3) + 1 / 3 * math.log(4 / 9)
    reverse = 1 / 4 * math.log(3 / 8) + 3 / 4 * math.log(9 / 4)
    assert both(student, teacher, topk=2) == pytest.approx((forward, reverse), abs=1e-6)


def test_zero_outside_the_top_k_punishes_mass_elsewhere():
    teacher = torch.tensor([[2.0, 1.0, 4.0]]).log()
    student = torch.tensor([[3.0, 8.0, 1.0]]).log()
    forward = 2 / 3 * math.log(2 / 3 * 12) + 1 / 3 * math.log(1 / 3 * 4)
    inside = 1 / 12 * math.log(1 / 8) + 1 / 4 * math.log(3 / 4)
    outside = 2 / 3 * (math.log(2 / 3) + 100)
    found = both(student, teacher, topk=2, zero_outside=True)
    assert found == pytest.approx((forward, inside + outside), abs=1e-5)
    gone = torch.tensor([[3.0, 1e-30, 1.0]]).log()
    assert both(gone, teacher, topk=2, zero_outside=True) == pytest.approx(both(gone, teacher, topk=2), abs=1e-6)


def test_the_weight_of_mixed_is_that_of_the_forward_part():
    forward, reverse = torch.tensor([1.0]), torch.tensor([3.0])
    assert blend(forward, reverse, "mixed", 0.25).item() == pytest.approx(2.5)
    assert [blend(forward, reverse, kind, 0.25).item() for kind in ("forward", "reverse")] == [1, 3]


def test_the_entropy_and_the_distance_of_hidden_states():
    assert entropy(TEACHER).item() == pytest.approx(1.5 * LN2, abs=1e-6)
    ones, across, back = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0]]), torch.tensor([[-2.0, -2.0]])
    half = torch.tensor([[2.0, 0.0]])
    found = hidden_distance([ones, ones, ones, ones], [ones * 7, across, back, half])
    assert found.item() == pytest.approx((0 + 1 + 2 + 1 - math.sqrt(0.5)) / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("students", "teachers", "expected"), [(2, 4, [2, 4]), (3, 3, [1, 2, 3]), (1, 6, [6]), (4, 2, [1, 1, 2, 2]), (3, 8, [3, 5, 8])]
)
def test_layers_are_paired_evenly_and_the_last_with_the_last(students, teachers, expected):
    assert layer_map(students, teachers) == expected
