"""Packers and plans, and that training on packs is training on their samples."""

import pytest
import torch

from anneal_trainer import packing
from anneal_trainer.batching import DynamicBatching
from anneal_trainer.errors import BadData, BadRequest
from anneal_trainer.job import Job
from anneal_trainer.lengths import hash_of_file
from anneal_trainer.micro_batches import divide
from anneal_trainer.packed_samples import PackCollator, check_apart, joined_pairs, pair_lengths, sequence_sums, sequences_of
from anneal_trainer.packing_plan import PackingPlan
from anneal_trainer.request import TrainRequest
from conftest import curve, times_ten, write_lines

SHORT = [4, 1, 3, 2, 1, 3, 4, 5]
LONG = [700, 650, 600, 520, 500, 480, 400, 350, 300, 260, 250, 200, 180, 170, 150, 120, 100, 90, 60, 40]
RECORDS = times_ten([3, 14, 159, 26, 5, 35, 8979, 323, 84626, 43, 3, 8327, 9, 50, 288, 4197])


@pytest.mark.parametrize(
    ("lengths", "capacity", "packer", "expected"),
    [
        (SHORT, 5, "concatenative", [[0, 1], [2, 3], [4, 5], [6], [7]]),
        (SHORT, 5, "first_fit_decreasing", [[7], [6, 4], [0, 1], [5, 3], [2]]),
        (SHORT, 5, "modified_first_fit_decreasing", [[7], [0], [6], [2, 3], [5, 1, 4]]),
        (SHORT, 8, "concatenative", [[0, 1, 2], [3, 4, 5], [6], [7]]),
        (SHORT, 8, "first_fit_decreasing", [[7, 5], [6, 0], [2, 3, 4, 1]]),
        (SHORT, 8, "modified_first_fit_decreasing", [[7, 2], [5, 3, 1, 4], [0, 6]]),
        (SHORT, 8, "first_fit", [[0, 1, 2], [3, 4, 5], [6], [7]]),
        (
            LONG,
            1000,
            "first_fit_decreasing",
            [[0, 8], [1, 7], [2, 6], [3, 5], [4, 9, 11, 19], [10, 12, 13, 14, 15, 16], [17, 18]],
        ),
        (
            LONG,
            1000,
            "modified_first_fit_decreasing",
            [[0, 8], [1, 7], [2, 6], [3, 5], [16, 17, 18, 19], [4, 9, 14], [10, 11, 12, 13, 15]],
        ),
    ],
)
def test_packers_give_the_known_bins(lengths, capacity, packer, expected):
    assert packing.pack(lengths, packer, capacity) == expected


def test_measures_are_those_of_the_vectors():
    found = packing.measures(packing.pack(SHORT, "modified_first_fit_decreasing", 8), SHORT, 8)
    assert found["average_utilization"] == pytest.approx(0.95833, abs=1e-5)
    assert found["bin_balance"] == pytest.approx(0.924693, abs=1e-6)
    found = packing.measures(packing.pack(LONG, "modified_first_fit_decreasing", 1000), LONG, 1000)
    assert found["waste_ratio"] == pytest.approx(0.125714, abs=1e-6)
    assert found["bin_balance"] == pytest.approx(0.701746, abs=1e-6)
    assert (found["num_bins"], found["bin_efficiency"]) == (7, 1.0)


def test_every_packer_puts_each_sequence_into_one_bin_with_room():
    lengths = [1 + place * 37 % 100 for place in range(200)]
    for packer in packing.PACKERS:
        bins = packing.pack(lengths, packer, 100, seed=5)
        assert sorted(place for bin_ in bins for place in bin_) == list(range(200))
        assert all(sum(lengths[place] for place in bin_) <= 100 for bin_ in bins)
    shuffled = [packing.pack(lengths, "first_fit_shuffle", 100, seed) for seed in (5, 5, 6)]
    assert shuffled[0] == shuffled[1] != shuffled[2]


@pytest.mark.parametrize(("lengths", "packer"), [([5, 6], "first_fit"), ([0, 1], "first_fit"), ([1], "best_fit")])
def test_what_cannot_be_packed_is_refused(lengths, packer):
    with pytest.raises(BadRequest):
        packing.pack(lengths, packer, 5)


def steps(attempt, *keys):
    return [[value for _, value in curve(attempt.metrics, key)] for key in keys]


def test_packed_training_has_the_loss_and_the_gradient_of_its_samples(training, plain_model):
    """One global batch of everything, so that the samples of the step are the same; packs of unlike numbers of samples."""
    keys = ("train/loss", "train/grad_norm", "train/num_unmasked_tokens", "train/num_valid_samples")
    common = {"shuffle": False, "epochs": 1, "learning_rate": 1e-3}
    alone = training("alone", {"global_batch_size": 16, "micro_batch_size": 4, **common}, records=RECORDS, model=plain_model)
    alone.here()
    for packer, capacity, micro in (("first_fit_decreasing", 64, 1), ("concatenative", 90, 2)):
        packs = len(packing.pack(token_counts(plain_model, RECORDS), packer, capacity))
        params = {"global_batch_size": packs, "micro_batch_size": micro if packs % micro == 0 else 1, **common}
        params["packing"] = {"online": packer, "capacity": capacity}
        attempt = training(packer, params, records=RECORDS, model=plain_model)
        attempt.here()
        assert 4 <= packs < 16
        for ours, theirs in zip(steps(attempt, *keys), steps(alone, *keys), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5, rel=1e-5)
        assert curve(attempt.metrics, "packing/packing_factor") == [(0, pytest.approx(16 / packs))]


def test_dynamic_batches_have_the_loss_and_the_gradient_of_even_ones(training, plain_model):
    keys = ("train/loss", "train/grad_norm", "train/num_unmasked_tokens", "train/num_valid_samples")
    even = training("even", {"global_batch_size": 8, "micro_batch_size": 2}, records=RECORDS, model=plain_model)
    even.here()
    rule = {"tokens": 100, "round": 8}
    params = {"global_batch_size": 8, "dynamic_batching": rule}
    dynamic = training("dynamic", params, records=RECORDS, model=plain_model)
    dynamic.here()
    for ours, theirs in zip(steps(dynamic, *keys), steps(even, *keys), strict=True):
        assert len(ours) == 2 and ours == pytest.approx(theirs, abs=1e-5, rel=1e-5)
    assert all(1 < count < 8 for _, count in curve(dynamic.metrics, "train/micro_batches"))
    with pytest.raises(BadRequest, match="a sample has"):
        training("small", params | {"dynamic_batching": {"tokens": 16, "round": 8}}, model=plain_model).here()


def test_dynamic_batches_stay_within_the_budget_and_can_be_made_more():
    rule = DynamicBatching(tokens=32, round=8)
    lengths = [3, 30, 8, 7, 16, 9, 1]
    parts = divide(lengths, rule)
    assert parts == [[6, 0, 3, 2], [5, 4], [1]]
    more = divide(lengths, rule, least=5)
    assert len(more) == 5 and sorted(place for part in more for place in part) == list(range(7))
    assert [len(part) for part in divide(lengths, rule, least=7)] == [1] * 7


def plan_file(path, records, bins, lengths, dropped=(), **header):
    """A plan as prepare's step writes it."""
    head = {"format": "anneal.packing-plan", "version": 1, "kind": "sft", "capacity": 90, "records": records}
    head |= {"bins": len(bins), "tokenizer_sha256": None, "dataset_sha256": None, **header}
    lines = [{"bin": number, **entry(bin_, lengths)} for number, bin_ in enumerate(bins)]
    return write_lines(path, [head, *lines, {"end": True, "dropped": entry(dropped, lengths)}])


def entry(records, lengths):
    return {"records": list(records), "lengths": [lengths[record] for record in records]}


def test_a_plan_is_followed_and_resumes_in_the_same_order(training, plain_model, tmp_path):
    bins, dropped = [[1, 0], [2], [5, 4, 6], [7]], [3]
    lengths = token_counts(plain_model, RECORDS[:8])
    attempt = training("run", {"global_batch_size": 1, "epochs": 3}, {"every": 5}, RECORDS[:8], model=plain_model)
    data, model = attempt.spec["dataset"], attempt.spec["model"]
    # The hash of another tokenizer, as a checkpoint's files have it, does no harm where all lengths are right.
    hashes = {"dataset_sha256": hash_of_file(data), "tokenizer_sha256": "0" * 64}
    path = plan_file(tmp_path / "plan.jsonl", 8, bins, lengths, dropped, **hashes)
    attempt.spec["params"]["packing"] = {"plan": str(path)}
    _, _, summary = attempt.here()
    whole = curve(attempt.metrics, "train/num_valid_samples")
    assert sorted(count for _, count in whole[:4]) == [1, 1, 2, 3] and len(whole) == 12
    assert summary["dropped_long"] == 1
    losses = curve(attempt.metrics, "train/loss")
    for gone in (10, 12):
        (attempt.checkpoints / f"step_{gone}").rename(attempt.checkpoints / f"tmp_step_{gone}")
    attempt.here()
    assert curve(attempt.metrics, "train/loss") == losses[5:]

    for name, header in (("kind", "dpo"), ("dataset_sha256", "0" * 64)):
        plan_file(path, 8, bins, lengths, dropped, **hashes | {name: header})
        with pytest.raises(BadRequest, match="does not belong to the job"):
            training(f"other-{name}", attempt.spec["params"], records=RECORDS[:8], model=model).here()
    plan_file(path, 8, bins, [*lengths[:4], 5, *lengths[5:]], dropped)
    with pytest.raises(BadData, match="record 4 has 5 tokens by the plan"):
        training("lengths", attempt.spec["params"], records=RECORDS[:8], model=model).here()


def token_counts(model, records):
    from transformers import AutoTokenizer

    from anneal_trainer.chat_tokens import ChatTokenizer
    from anneal_trainer.data import Conversation

    chat = ChatTokenizer(AutoTokenizer.from_pretrained(model), False)
    return [len(chat.encode(Conversation(1, record["messages"]))[0]) for record in records]


@pytest.mark.parametrize(
    ("bins", "dropped", "cut"), [([[0, 1]], [1], None), ([[0]], [], None), ([[0, 1], []], [], None), ([[0], [1]], [], 2)]
)
def test_a_damaged_plan_is_refused(tmp_path, bins, dropped, cut):
    path = plan_file(tmp_path / "plan.jsonl", 2, bins, [3, 4], dropped)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:cut]))
    with pytest.raises(BadData, match="damaged"):
        PackingPlan.read(path)


def test_pairs_are_packed_together_and_apart_from_others(plain_model):
    from transformers import AutoModelForCausalLM

    rows = {
        "input_ids": [[[1, 2, 4], [1, 2, 7, 8]], [[3, 5, 6], [3, 9]], [[6, 7, 8], [6, 9]]],
        "labels": [[[-100, -100, 4], [-100, -100, 7, 8]], [[-100, 5, 6], [-100, 9]], [[-100, 7, 8], [-100, 9]]],
        "rewards": [[1.0, 0.0], [0.5, 0.25], [1.0, -1.0]],
    }
    assert pair_lengths(rows) == [7, 5, 5]
    packs = joined_pairs(rows, packing.pack(pair_lengths(rows), "first_fit_decreasing", 12))
    assert packs["input_ids"][0] == [1, 2, 4, 1, 2, 7, 8, 6, 7, 8, 6, 9] and packs["seq_lengths"] == [[3, 4, 3, 2], [3, 2]]
    assert packs["rewards"] == [[[1.0, 0.0], [1.0, -1.0]], [[0.5, 0.25]]]

    model = AutoModelForCausalLM.from_pretrained(plain_model).eval()
    pairs = [zip(rows["input_ids"][pair], rows["labels"][pair], strict=True) for pair in (0, 2, 1)]
    alone = [log_likelihood(model, *side) for pair in pairs for side in pair]
    for flat, counts in ((False, [4, 2]), (True, [6])):
        batch = PackCollator(0, flat)(list(packs))
        assert batch["input_ids"].shape == ((1, 17) if flat else (2, 12))
        labels = batch["labels"].clamp(min=0)
        log_p = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits.log_softmax(-1)
        learned = log_p[:, :-1].gather(-1, labels[:, 1:, None])[..., 0] * (batch["labels"][:, 1:] != -100)
        values = torch.zeros(batch["labels"].shape)
        values[:, 1:] = learned.detach()
        sums = sequence_sums(values, batch["position_ids"], counts)
        assert sums.tolist() == pytest.approx(alone, abs=1e-5)
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 7, 10, 12, 15, 17] and batch["max_length_k"] == 4


def log_likelihood(model, ids, labels) -> float:
    """Σ log p of the labelled tokens of one sequence."""
    log_p = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return sum(log_p[place, label].item() for place, label in enumerate(labels[1:]) if label != -100)


def test_padding_between_packs_is_a_sequence_of_its_own():
    rows = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3], "seq_lengths": [2, 1]}, {"input_ids": [4], "labels": [4]}]
    batch = PackCollator(0)(rows)
    assert batch["position_ids"].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 2, -100], [-100, -100, -100]]
    assert sequences_of(batch["position_ids"]).tolist() == [[1, 1, 2], [1, 2, 3]]


def test_a_model_that_mixes_packed_sequences_is_refused(plain_model):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(plain_model)
    check_apart(model, PackCollator(0))

    class Blind(PackCollator):
        """A collator that does not tell where sequences begin."""

        def __call__(self, rows):
            return {"input_ids": super().__call__(rows)["input_ids"]}

    with pytest.raises(BadRequest, match="apart"):
        check_apart(model, Blind(0))


def test_an_attempt_out_of_memory_halves_the_budget_of_tokens(tmp_path):
    spec = {"method": "sft", "model": "/m", "dataset": "/d", "params": {"dynamic_batching": {"tokens": 256, "round": 64}}}
    for divisor, tokens in ((1, 256), (2, 128), (4, 64)):
        job = Job("train", spec, {}, tmp_path, tmp_path, tmp_path / "metrics", micro_batch_divisor=divisor)
        request = TrainRequest.parse(job, {"WORLD_SIZE": "2"})
        assert request.batching.dynamic == DynamicBatching(tokens, 64)
        assert (request.micro_batch_size, request.accumulation) == (16, 1)
    job = Job("train", spec, {}, tmp_path, tmp_path, tmp_path / "metrics", micro_batch_divisor=8)
    with pytest.raises(BadRequest, match="less than 'round'"):
        TrainRequest.parse(job, {})
