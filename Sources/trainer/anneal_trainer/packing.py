"""Which sequences share a training sequence: NeMo RL's packers, and how good their bins are. No torch.

A packer takes lengths in tokens and a capacity, and gives bins, each a list of places in the list of lengths. The bins are
those of `nemo_rl/data/packing/algorithms.py`; the Swift target `Packing` makes the same for the `pack` step of `prepare`.
"""

from __future__ import annotations

import bisect
import heapq
import math
import random
import statistics
from collections.abc import Sequence

from .errors import BadRequest

Bins = list[list[int]]

#: How bins can be filled by the trainer itself.
PACKERS = (
    "concatenative",
    "first_fit",
    "first_fit_decreasing",
    "first_fit_shuffle",
    "modified_first_fit_decreasing",
)


def pack(lengths: Sequence[int], packer: str, capacity: int, seed: int = 0) -> Bins:
    """Bins of at most `capacity` tokens. Raises `BadRequest` for a length that is not positive or does not fit.

    Of paired sequences (chosen and rejected) the length is that of both together, so they are never separated.
    """
    if packer not in PACKERS:
        raise BadRequest(f"there is no packer {packer!r}; known are {', '.join(PACKERS)}")
    for place, length in enumerate(lengths):
        if not 0 < length <= capacity:
            raise BadRequest(f"sequence {place} has {length} tokens; a bin holds from 1 to {capacity}")
    places = list(range(len(lengths)))
    if packer == "concatenative":
        return concatenate(lengths, capacity)
    if packer == "modified_first_fit_decreasing":
        return modified_first_fit_decreasing(lengths, capacity)
    if packer == "first_fit_decreasing":
        places.sort(key=lambda place: (lengths[place], place), reverse=True)
    elif packer == "first_fit_shuffle":
        random.Random(f"{seed}/packing").shuffle(places)
    return first_fit(lengths, places, capacity)


def concatenate(lengths: Sequence[int], capacity: int) -> Bins:
    """In their order; what does not fit opens a new bin."""
    bins: Bins = []
    room = 0
    for place, length in enumerate(lengths):
        if not bins or length > room:
            bins.append([])
            room = capacity
        bins[-1].append(place)
        room -= length
    return bins


def first_fit(lengths: Sequence[int], places: Sequence[int], capacity: int) -> Bins:
    """Each into the first bin with room for it, in the order of `places`; O(n log n).

    `tree` is a binary tree over the bins that could be needed; each node holds the most room of any bin below it.
    """
    leaves = 1 << max(0, len(places) - 1).bit_length()
    tree = [capacity] * (2 * leaves)
    bins: Bins = []
    for place in places:
        node = 1
        while node < leaves:
            node = 2 * node if tree[2 * node] >= lengths[place] else 2 * node + 1
        if node - leaves == len(bins):
            bins.append([])
        bins[node - leaves].append(place)
        tree[node] -= lengths[place]
        while node > 1:
            node //= 2
            tree[node] = max(tree[2 * node], tree[2 * node + 1])
    return bins


def modified_first_fit_decreasing(lengths: Sequence[int], capacity: int) -> Bins:
    """Johnson and Garey's algorithm with the last phase of NeMo RL, which is worst fit in place of first fit."""
    items = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    large = [place for place in items if 2 * lengths[place] > capacity]
    medium = [place for place in items if 2 * lengths[place] <= capacity < 3 * lengths[place]]
    small = sorted(
        (place for place in items if 3 * lengths[place] <= capacity < 6 * lengths[place]), key=lambda place: lengths[place]
    )
    tiny = [place for place in items if 6 * lengths[place] <= capacity]
    bins = [[place] for place in large]
    room = [capacity - lengths[place] for place in large]

    def put(index: int, place: int) -> None:
        bins[index].append(place)
        room[index] -= lengths[place]

    with_medium = set()
    for index in range(len(bins)):
        found = take_longest(medium, room[index], lengths)
        if found is not None:
            put(index, found)
            with_medium.add(index)
    for index in reversed(range(len(bins))):
        fits = len(small) > 1 and lengths[small[0]] + lengths[small[1]] <= room[index]
        if index not in with_medium and fits:
            put(index, small.pop(0))
            # From the long end, where of equal ones the later stands first.
            last = bisect.bisect_right(small, room[index], key=lambda place: lengths[place]) - 1
            if last >= 0:
                put(index, small.pop(last))
    rest = medium + sorted(small, key=lambda place: -lengths[place]) + tiny
    for index in range(len(bins)):
        while (found := take_longest(rest, room[index], lengths)) is not None:
            put(index, found)
    return bins + least_loaded(lengths, rest, capacity)


def take_longest(places: list[int], room: int, lengths: Sequence[int]) -> int | None:
    """Take out the first place of a descending list whose length fits; None when none does."""
    index = bisect.bisect_left(places, -room, key=lambda place: -lengths[place])
    return places.pop(index) if index < len(places) else None


def least_loaded(lengths: Sequence[int], places: Sequence[int], capacity: int) -> Bins:
    """Each into the bin with the least in it (of equal ones the one unchanged for longest), else into a new one."""
    heap: list[tuple[int, int, list[int]]] = []
    for change, place in enumerate(places):
        if heap and heap[0][0] + lengths[place] <= capacity:
            load, _, bin_ = heap[0]
            heapq.heapreplace(heap, (load + lengths[place], change, [*bin_, place]))
        else:
            heapq.heappush(heap, (lengths[place], change, [place]))
    return [bin_ for _, _, bin_ in sorted(heap)]


def measures(bins: Bins, lengths: Sequence[int], capacity: int) -> dict[str, float]:
    """How good bins are, under the names of NeMo RL's packing metrics; `packing_factor` is sequences per bin."""
    loads = [sum(lengths[place] for place in bin_) for bin_ in bins]
    sequences, total = sum(map(len, bins)), sum(loads)
    used = [load / capacity for load in loads]
    mean = total / (len(bins) * capacity)
    least = math.ceil(total / capacity)
    return {
        "num_sequences": sequences,
        "num_bins": len(bins),
        "total_sequence_length": total,
        "average_utilization": mean,
        "waste_ratio": 1 - mean,
        "bin_balance": 1 - statistics.stdev(used) / mean if len(bins) > 1 else 1.0,
        "theoretical_min_bins": least,
        "bin_efficiency": least / len(bins),
        "packing_factor": sequences / len(bins),
    }
