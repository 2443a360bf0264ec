"""The preference and reward losses against NeMo-Aligner's numbers, and where exponentials overflow."""

import math

import pytest
import torch

from anneal_trainer.preference_losses import LOSSES
from anneal_trainer.reward_losses import PAIR_LOSSES, squared_errors

#: β = 0.1, η = 1; pairs (r_chosen, r_rejected) = (2, −1) with rewards (1, 0), and (−0.5, 0.25) with rewards (4, 1).
BETA = 0.1
DELTA = [3.0, -0.75]
GAP = [1.0, 3.0]
VECTORS = {
    "dpo": (0.5543552445, 0.7313501408),
    "ipo": (4.0, 33.0625),
    "rpo_sq": (0.49, 9.455625),
    "rpo_bwd_kl": (0.052834562, 0.5369282292),
    "rpo_fwd_kl": (0.0567966813, 0.9123664496),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_gives_the_known_numbers(name):
    found = LOSSES[name](torch.tensor(DELTA, dtype=torch.float64), torch.tensor(GAP, dtype=torch.float64), BETA)
    assert found.tolist() == pytest.approx(VECTORS[name], abs=1e-6)
    single = LOSSES[name](torch.tensor(DELTA), torch.tensor(GAP), BETA)
    assert single.tolist() == pytest.approx(VECTORS[name], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("delta", [-1e6, -90.0, 0.0, 90.0, 1e6])
@pytest.mark.parametrize("gap", [-1e4, 0.0, 1e4])
def test_no_margin_makes_a_loss_or_its_gradient_infinite(name, delta, gap):
    margin = torch.tensor([delta], requires_grad=True)
    loss = LOSSES[name](margin, torch.tensor([gap]), 1.0)
    loss.backward()
    assert math.isfinite(loss.item()) and math.isfinite(margin.grad.item())
    assert loss.item() >= -1e-6


def test_the_losses_are_least_where_they_say():
    at = torch.tensor([10.0, 20.0], dtype=torch.float64)
    gap = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for name in ("rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl"):
        assert LOSSES[name](at, gap, 0.1).tolist() == pytest.approx([0, 0], abs=1e-12)
    # KL(b ‖ a) of far-off coins is the distance of the logits where the first coin is certain.
    far = LOSSES["rpo_fwd_kl"](torch.tensor([-500.0]), torch.tensor([500.0]), 1.0)
    assert far.item() == pytest.approx(500)
    assert LOSSES["ipo"](torch.tensor([5.0]), torch.tensor([9.0]), 0.1).item() == 0


def test_reward_losses():
    gap, margin = torch.tensor([1.5, -2.0]), torch.tensor([0.5, 3.0])
    expected = {
        "bradley_terry": [math.log1p(math.exp(-1.5)), math.log1p(math.exp(2.0))],
        "margin": [math.log1p(math.exp(-1.0)), math.log1p(math.exp(5.0))],
        "scaled": [0.5 * math.log1p(math.exp(-1.5)), 3 * math.log1p(math.exp(2.0))],
    }
    for name, values in expected.items():
        assert PAIR_LOSSES[name](gap, margin).tolist() == pytest.approx(values, abs=1e-6)
    scores = torch.tensor([[1.0, 5.0], [2.0, math.inf]], requires_grad=True)
    errors, known = squared_errors(scores, torch.tensor([[3.0, 4.0], [2.5, -100.0]]))
    errors.backward()
    assert (errors.item(), known.item()) == (pytest.approx(4 + 1 + 0.25), 3)
    assert scores.grad.tolist() == [[-4.0, 2.0], [-1.0, 0.0]]
