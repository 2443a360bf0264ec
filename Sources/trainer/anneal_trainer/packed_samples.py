"""Several samples in one training sequence, which attention keeps apart. No torch until a batch is made.

A pack is a row of the dataset like any sample: its sequences one behind the other in `input_ids` and `labels`, and their
lengths in `seq_lengths` (TRL's name). The first token of each sequence carries no loss, as it follows another one's last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import packing
from .batching import PLAN_POINTER, Packing
from .chat_tokens import IGNORED
from .errors import BadData, BadRequest, Problem
from .lengths import hash_of_file
from .method import Samples
from .packing_plan import PackingPlan

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from .request import TrainRequest

#: How far a sequence's logits may be from those it has alone, relative to the largest; bfloat16 rounds to 2⁻⁸.
PACKED_DIFFERENCE_MAX = 0.05


def batched(
    request: TrainRequest, kind: str, lines: Sequence[int], tokenize: Callable[[int], Samples], limit: int
) -> Samples:
    """Training samples of fewer than `limit` tokens, as the request wants them in batches: one by one, packed, or within
    a budget of tokens.

    `kind` is that of a plan: `sft` for single sequences, `dpo` for pairs of them. `lines` are those of the records, and
    `tokenize` makes samples of those shorter than a limit.
    """
    from .micro_batches import check_budget

    wanted, dynamic = request.batching.packing, request.batching.dynamic
    plan = read_plan(request, kind, limit) if wanted and wanted.plan else None
    # A plan says itself which records are too long.
    samples = tokenize(limit if plan is None else sys.maxsize)
    if plan is not None:
        samples.dropped_lines = [lines[place] for place in plan.dropped]
    if wanted:
        return packed(request, samples, limit, plan, pairs=kind == "dpo")
    if dynamic:
        check_budget(dynamic, samples, sequences=2 if kind == "dpo" else 1)
    return samples


def packed(
    request: TrainRequest, samples: Samples, limit: int, plan: PackingPlan | None, pairs: bool = False
) -> Samples:
    """The samples as packs; the default capacity is `limit`, of `pairs` twice that. Says and measures how well they are
    filled."""
    rows = samples.dataset.to_dict()
    lengths = pair_lengths(rows) if pairs else [len(ids) for ids in rows["input_ids"]]
    name = "pairs" if pairs else "samples"
    wanted: Packing = request.batching.packing
    if plan is not None:
        sides = [[len(ids) for ids in both] for both in rows["input_ids"]] if pairs else lengths
        bins, capacity = bins_of(plan, sides), plan.capacity
    else:
        capacity = wanted.capacity or (2 * limit if pairs else limit)
        longest = max(lengths, default=0)
        if longest > capacity:
            what = "pair" if pairs else "sample"
            detail = f"a {what} of {longest} tokens does not fit a pack of {capacity}; raise it, or lower max_length"
            raise BadRequest.at("/params/packing/capacity", detail)
        bins = packing.pack(lengths, wanted.packer, capacity, request.seed)
    found = packing.measures(bins, lengths, capacity)
    factor, size = found["packing_factor"], request.global_batch_size
    note = (
        f"packing: {found['num_sequences']} {name} in {found['num_bins']} packs of {capacity} tokens, {factor:.2f} {name} "
        f"a pack, {100 * found['average_utilization']:.1f} % full; a global batch of {size} packs is about "
        f"{size * factor:.0f} {name}, as global_batch_size {size * factor:.0f} was without packing"
    )
    metrics = {f"packing/{name}": value for name, value in found.items()} | samples.metrics
    notes, tokens = [*samples.notes, note], learned_in(samples.tokens, bins)
    packs = joined_pairs(rows, bins) if pairs else joined(rows, bins)
    return Samples(packs, samples.dropped_lines, "packs", metrics, notes, tokens)


def read_plan(request: TrainRequest, kind: str, limit: int) -> PackingPlan:
    """The plan of the request, which must be for its data and sequences of at most `limit` tokens."""
    plan = PackingPlan.read(request.batching.packing.plan)
    plan.check(kind, hash_of_file(request.dataset))
    lengths = [plan.lengths[record] for bin_ in plan.bins for record in bin_]
    longest = max(max(length) if isinstance(length, list) else length for length in lengths)
    if longest > limit:
        detail = f"the packing plan has a sequence of {longest} tokens, and max_length or the model allow {limit}"
        raise BadRequest.at(PLAN_POINTER, detail)
    return plan


def learned_in(tokens: Sequence[int] | None, bins: packing.Bins) -> list[int] | None:
    """Tokens with loss of each pack."""
    return None if tokens is None else [sum(tokens[place] for place in bin_) for bin_ in bins]


def bins_of(plan: PackingPlan, lengths: Sequence[int] | Sequence[list[int]]) -> packing.Bins:
    """The bins of a plan, whose lengths (of a pair both) must be those of the samples in the order of the dataset.

    Samples that the plan leaves out are in none; the places are those of `lengths`.
    """
    if len(lengths) != plan.records:
        raise mismatch(f"it is for {plan.records} records, and training takes {len(lengths)}")
    for record, length in plan.lengths.items():
        if length != lengths[record]:
            raise mismatch(f"record {record} has {length} tokens by the plan and {lengths[record]} in training")
    return plan.bins


def mismatch(detail: str) -> BadData:
    detail = f"the packing plan does not fit the data: {detail}; pack with the job's own model, chat_template and only_final_turn"
    return BadData(detail, [Problem(detail, PLAN_POINTER)])


def joined(rows: dict[str, list], bins: packing.Bins) -> Any:
    """A dataset of one row for each bin. Columns of lists are joined, others become lists of the bin's values."""
    from datasets import Dataset

    packs: dict[str, list] = {name: [] for name in (*rows, "seq_lengths")}
    for bin_ in bins:
        packs["seq_lengths"].append([len(rows["input_ids"][place]) for place in bin_])
        for name, values in rows.items():
            chosen = [values[place] for place in bin_]
            if name == "labels":
                chosen = [[IGNORED, *labels[1:]] for labels in chosen]
            packs[name].append([token for tokens in chosen for token in tokens] if isinstance(chosen[0], list) else chosen)
    return Dataset.from_dict(packs)


def joined_pairs(rows: dict[str, list], bins: packing.Bins) -> Any:
    """A dataset of packs of preference pairs: pair k of a bin is the sequences 2k (chosen) and 2k + 1 (rejected), which are
    never separated.

    `rows` has `input_ids` and `labels`, for each pair the chosen and the rejected list of tokens. Other columns become
    lists of the bin's values. `sequence_sums` finds the sequences again in what a model gives for them.
    """
    sequences = {name: [side for both in rows[name] for side in both] for name in ("input_ids", "labels")}
    packs = joined(sequences, doubled(bins))
    for name, values in rows.items():
        if name not in sequences:
            packs = packs.add_column(name, [[values[place] for place in bin_] for bin_ in bins])
    return packs


def doubled(bins: packing.Bins) -> packing.Bins:
    """Bins of pairs as bins of sequences."""
    return [[side for place in bin_ for side in (2 * place, 2 * place + 1)] for bin_ in bins]


def pair_lengths(rows: dict[str, list]) -> list[int]:
    """What each pair takes of a bin: both its sequences, each with the prompt."""
    return [len(chosen) + len(rejected) for chosen, rejected in rows["input_ids"]]


def sequence_sums(values: torch.Tensor, position_ids: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Sums of a value per token, (rows, tokens), over each sequence of packs, one pack's after the other: (sequences,).

    `counts` are the sequences of each row of the batch; in a batch of one flat row, those of all its packs together.
    """
    import torch

    # What follows the last sequence of a row is padding: it goes into a sum that no row takes.
    numbers = (sequences_of(position_ids) - 1).clamp(max=max(counts))
    sums = torch.zeros(len(counts), max(counts) + 1, dtype=values.dtype, device=values.device)
    sums = sums.scatter_add(1, numbers, values)
    return torch.cat([row[:count] for row, count in zip(sums, counts, strict=True)])


class PackCollator:
    """Makes batches of packs; a row without `seq_lengths` is a pack of one.

    `position_ids` start again with each sequence, and there is no attention mask: by that transformers knows that sequences
    are packed, and builds the block-diagonal mask (SDPA, eager) or uses variable lengths (flash attention). For the latter
    `flat` puts the whole batch into one row without any padding; otherwise a pack is a row, and padding is a sequence of
    its own for each token. Other columns are left out.
    """

    def __init__(self, pad_id: int, flat: bool = False):
        self.pad_id = pad_id
        self.flat = flat

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        import torch

        lists = [name for name in rows[0] if name in ("input_ids", "labels")]
        starts = [row.get("seq_lengths") or [len(row["input_ids"])] for row in rows]
        columns: dict[str, list[list[int]]] = {name: [list(row[name]) for row in rows] for name in lists}
        columns["position_ids"] = [[place for length in lengths for place in range(length)] for lengths in starts]
        if self.flat:
            columns = {name: [sum(values, [])] for name, values in columns.items()}
        width = max(map(len, columns["input_ids"]))
        fill = {"input_ids": self.pad_id, "labels": IGNORED, "position_ids": 0}
        batch = {
            name: torch.tensor([[*row, *[fill[name]] * (width - len(row))] for row in values])
            for name, values in columns.items()
        }
        if "labels" in batch:
            batch["labels"][batch["position_ids"] == 0] = IGNORED
        if self.flat:
            # Told once here, they need not be found out on the device in each layer.
            ends = torch.tensor([0, *[length for lengths in starts for length in lengths]]).cumsum(0).to(torch.int32)
            longest = max(length for lengths in starts for length in lengths)
            batch |= {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}
        return batch


def pack_collator(models: Sequence[PreTrainedModel], pad_id: int) -> PackCollator:
    """What makes batches of packs for models that keep packed sequences apart; any other is refused."""
    flat = all("flash" in str(model.config._attn_implementation) for model in models)
    collate = PackCollator(pad_id, flat)
    for model in models:
        if not flat or model.device.type == "cuda":
            check_apart(model, collate)
    return collate


def sequences_of(position_ids: torch.Tensor) -> torch.Tensor:
    """The number of the sequence that each token of a row belongs to, from 1; both shapes are (rows, tokens)."""
    return (position_ids == 0).cumsum(-1)


def check_apart(model: PreTrainedModel, collate: PackCollator) -> None:
    """Refuse a model whose packed sequences see each other, as those with a running state do. Costs three tiny forwards."""
    import torch

    mode, device = model.training, next(model.parameters()).device
    tokens = [value % model.config.get_text_config().vocab_size for value in range(1, 9)]
    model.eval()
    try:
        logits = []
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for row in ({"input_ids": tokens, "seq_lengths": [3, 5]}, {"input_ids": tokens[3:]}):
                batch = collate([row])
                batch = {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
                logits.append(model(**batch, use_cache=False).logits[0, -1])
    finally:
        model.train(mode)
    together, alone = logits
    if not (together - alone).abs().max() <= PACKED_DIFFERENCE_MAX * alone.abs().max():
        detail = "this model's attention does not keep packed sequences apart; train without packing"
        raise BadRequest.at("/params/packing", detail)
