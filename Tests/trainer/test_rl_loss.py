"""The losses of reinforcement on numbers that were worked out by hand, and on the published vectors."""

import math

import pytest
import torch

from anneal_trainer.rl_loss import Whole, importance_weights, kl_estimate, policy_loss, probability_ratios
from anneal_trainer.rl_loss_rules import LossRules

#: Two responses of three and one tokens; under the old weights every token had probability 1/2.
MASK = torch.tensor([[1.0, 1, 1], [1, 0, 0]])
OLD = torch.full((2, 3), math.log(0.5))
#: Ratios 1.5, 1, 0.5 for the first, 2 for the second; what is behind the mask must not matter.
RATIOS = torch.tensor([[1.5, 1.0, 0.5], [2.0, 99.0, 99.0]])
NEW = OLD + RATIOS.log()
WHOLE = Whole(tokens=4, sequences=2)


def loss(advantages, whole=WHOLE, correct=None, generator=None, reference=None, **rules):
    rules = LossRules(**{"kl_penalty": 0.0, **rules})
    found, parts = policy_loss(
        NEW, OLD, torch.tensor(advantages), MASK, rules, whole, generator, reference, correct
    )
    return float(found), parts


@pytest.mark.parametrize(
    ("policy", "reference", "kind", "expected"),
    [
        (-1.0, -1.5, "k1", 0.5),
        (-1.0, -1.5, "k2", 0.125),
        (-1.0, -1.5, "k3", 0.1065307),
        (-2.0, -1.0, "k1", -1.0),
        (-2.0, -1.0, "k2", 0.5),
        (-2.0, -1.0, "k3", 0.7182818),
        (-50.0, -1.0, "k1", -10.0),  # 49 is clamped to 20, and −20 to −10
        (-50.0, -1.0, "k3", 10.0),
        (-1.0, -50.0, "k2", 10.0),
    ],
)
def test_estimates_of_the_divergence(policy, reference, kind, expected):
    found = kl_estimate(torch.tensor(policy), torch.tensor(reference), kind)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_clamps_of_the_divergence_can_be_taken_away_and_other_estimators_are_refused():
    free = kl_estimate(torch.tensor(-50.0), torch.tensor(-1.0), "k1", None, None)
    assert float(free) == -49
    with pytest.raises(ValueError, match="k4"):
        kl_estimate(torch.tensor(0.0), torch.tensor(0.0), "k4")


def test_the_clipped_loss_takes_the_worse_of_both_ratios():
    # A = 1: −min(r, clip): −1.2, −1, −0.5; A = −1: max(2, 1.2) = 2.
    found, parts = loss([1.0, -1.0])
    assert found == pytest.approx((-1.2 - 1 - 0.5 + 2) / 4, abs=1e-6)
    assert parts["clamped"][0].tolist() == pytest.approx([1.2, 1.0, 0.8], abs=1e-6)


def test_the_upper_clip_may_be_higher_and_the_dual_clip_bounds_bad_responses():
    assert loss([1.0, -1.0], ratio_clip_max=0.28)[0] == pytest.approx((-1.28 - 1 - 0.5 + 2) / 4, abs=1e-6)
    assert loss([1.0, -1.0], ratio_clip_c=1.5)[0] == pytest.approx((-1.2 - 1 - 0.5 + 1.5) / 4, abs=1e-6)
    # A good response's loss is left alone by the dual clip.
    assert loss([1.0, 1.0], ratio_clip_c=1.5)[0] == pytest.approx((-1.2 - 1 - 0.5 - 1.2) / 4, abs=1e-6)


def test_levels_of_the_mean():
    first, second = (-1.2 - 1 - 0.5), 2.0
    assert loss([1.0, -1.0], loss_level="sequence")[0] == pytest.approx((first / 3 + second) / 2, abs=1e-6)
    found = loss([1.0, -1.0], loss_level="constant", max_new_tokens=8)[0]
    assert found == pytest.approx((first / 8 + second / 8) / 2, abs=1e-6)


def test_the_ratio_of_a_sequence_is_its_geometric_mean():
    ratios = probability_ratios(NEW, OLD, MASK, "sequence")
    first = 0.75 ** (1 / 3)
    assert ratios[0].tolist() == pytest.approx([first] * 3, abs=1e-6)
    assert float(ratios[1, 0]) == pytest.approx(2, abs=1e-6)
    # A = 1: max(−r, −clip(r)) = −min(0.9086, 0.9086); A = −1: 2.
    found = loss([1.0, -1.0], ratio_level="sequence", loss_level="sequence")[0]
    assert found == pytest.approx((-first + 2) / 2, abs=1e-6)


def gradient(objective: str, advantage: float) -> list[float]:
    policy = NEW.clone().requires_grad_()
    rules = LossRules(objective=objective, kl_penalty=0.0)
    policy_loss(policy, OLD, torch.tensor([advantage, advantage]), MASK, rules, WHOLE)[0].backward()
    return policy.grad.flatten().tolist()


def test_gradients_of_the_objectives():
    # Clipped: −A r where the ratio counts, none where it is clipped (1.5 and 2 at A = 1).
    assert gradient("ppo", 1.0) == pytest.approx([0, -1 / 4, -0.5 / 4, 0, 0, 0], abs=1e-6)
    # CISPO: −clip(r) A, also where it is clipped.
    assert gradient("cispo", 1.0) == pytest.approx([-1.2 / 4, -1 / 4, -0.8 / 4, -1.2 / 4, 0, 0], abs=1e-6)
    # REINFORCE: −A.
    assert gradient("reinforce", 2.0) == pytest.approx([-0.5, -0.5, -0.5, -0.5, 0, 0], abs=1e-6)


def test_values_of_the_objectives_without_a_ratio():
    logs = float((NEW * MASK).sum())
    assert loss([1.0, 1.0], objective="reinforce")[0] == pytest.approx(-logs / 4, abs=1e-6)
    weighted = 1.2 * NEW[0, 0] + NEW[0, 1] + 0.8 * NEW[0, 2] + 1.2 * NEW[1, 0]
    assert loss([1.0, 1.0], objective="cispo")[0] == pytest.approx(-float(weighted) / 4, abs=1e-6)


def test_the_divergence_and_the_likelihood_of_right_responses_are_added():
    reference = NEW + 0.5
    plain = loss([1.0, -1.0])[0]
    k3 = math.exp(0.5) - 1 - 0.5
    found, parts = loss([1.0, -1.0], reference=reference, kl_penalty=0.1)
    assert found == pytest.approx(plain + 0.1 * k3, abs=1e-6)
    assert float(parts["kl"][0, 0]) == pytest.approx(k3, abs=1e-6)
    found = loss([1.0, -1.0], correct=torch.tensor([0.0, 1.0]), positive_nll_weight=0.2)[0]
    assert found == pytest.approx(plain - 0.2 * float(NEW[1, 0]) / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "weights", "outside"),
    [
        ("tis", [[2.0, 1.0, 0.25], [1.9, 0, 0]], [[1, 0, 0], [0, 0, 0]]),
        ("icepop", [[0.0, 1.0, 0.0], [1.9, 0, 0]], [[1, 0, 1], [0, 0, 0]]),
        # The geometric means are 1 and 1.9: both stay as they are.
        ("seq_mask_tis", [[4.0, 1.0, 0.25], [1.9, 0, 0]], [[0, 0, 0], [0, 0, 0]]),
        ("none", [[1.0, 1.0, 1.0], [1.0, 0, 0]], None),
    ],
)
def test_weights_against_the_mismatch(kind, weights, outside):
    generator = OLD - torch.tensor([[4.0, 1.0, 0.25], [1.9, 7.0, 7.0]]).log()
    rules = LossRules(importance_correction=kind, importance_min=0.5, importance_max=2.0)
    found, out = importance_weights(OLD, generator, MASK, rules)
    assert torch.allclose(found * MASK, torch.tensor(weights), atol=1e-6)
    if outside is not None:
        assert out.tolist() == torch.tensor(outside).tolist()
    plain = loss([1.0, -1.0], generator=generator)[0]
    weighted = loss([1.0, -1.0], generator=generator, importance_correction=kind)[0]
    terms = torch.tensor([[-1.2, -1.0, -0.5], [2.0, 0, 0]])
    assert plain == pytest.approx(float(terms.sum()) / 4, abs=1e-6)
    assert weighted == pytest.approx(float((terms * torch.tensor(weights)).sum()) / 4, abs=1e-6)


def test_a_sequence_whose_mean_weight_is_out_of_bounds_is_masked():
    generator = OLD - torch.tensor([[4.0, 4.0, 4.0], [1.0, 1, 1]]).log()
    found, out = importance_weights(OLD, generator, MASK, LossRules(importance_correction="seq_mask_tis"))
    assert found[0].tolist() == [0, 0, 0] and float(found[1, 0]) == 1
    assert out.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_micro_batches_add_up_to_the_whole_batch():
    for level in ("token", "sequence", "constant"):
        rules = LossRules(loss_level=level, max_new_tokens=5, kl_penalty=0.0)
        advantages = torch.tensor([1.0, -1.0])
        whole = policy_loss(NEW, OLD, advantages, MASK, rules, WHOLE)[0]
        parts = [
            policy_loss(NEW[i : i + 1], OLD[i : i + 1], advantages[i : i + 1], MASK[i : i + 1], rules, WHOLE)[0]
            for i in range(2)
        ]
        assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-7)
