"""How fast lengths are packed: ours beside a scan through all bins and a tree, both in Python, with the same bins from all."""

from __future__ import annotations

import math
import pathlib
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable

import measure
from harness import daemon as harness

COUNT = 100_000
CAPACITY = 4096
MEDIAN = 600
#: Of the logarithm of a length; the lengths of instruction data spread about so.
SIGMA = 0.9
#: A scan of all takes a minute and a half; of these it is seconds.
SCANNED = 20_000
TURNS = 7
PACKERS = ("first_fit_shuffle", "modified_first_fit_decreasing", "modified_first_fit_decreasing_exact")


def random_lengths(count: int) -> list[int]:
    """Log-normal lengths, cut off at the capacity; the same in every run."""
    generator = random.Random(11)
    return [min(CAPACITY, max(1, round(generator.lognormvariate(math.log(MEDIAN), SIGMA)))) for _ in range(count)]


def by_decrease(lengths: list[int]) -> list[int]:
    """Records by descending length, of equal ones the later first."""
    return sorted(range(len(lengths)), key=lambda record: (lengths[record], record), reverse=True)


def scanned(lengths: list[int]) -> list[list[int]]:
    """First fit decreasing by its definition: look through all bins."""
    bins: list[list[int]] = []
    rooms: list[int] = []
    for record in by_decrease(lengths):
        length = lengths[record]
        for place, room in enumerate(rooms):
            if room >= length:
                bins[place].append(record)
                rooms[place] -= length
                break
        else:
            bins.append([record])
            rooms.append(CAPACITY - length)
    return bins


def treed(lengths: list[int]) -> list[list[int]]:
    """The same with a tree of the largest rooms."""
    leaves = 1 << (len(lengths) - 1).bit_length()
    rooms = [CAPACITY] * (2 * leaves)
    bins: list[list[int]] = []
    for record in by_decrease(lengths):
        length, node = lengths[record], 1
        while node < leaves:
            node *= 2
            if rooms[node] < length:
                node += 1
        if node - leaves == len(bins):
            bins.append([])
        bins[node - leaves].append(record)
        rooms[node] -= length
        while node > 1:
            node //= 2
            best = max(rooms[2 * node], rooms[2 * node + 1])
            if rooms[node] == best:
                break
            rooms[node] = best
    return bins


def compiled(folder: pathlib.Path) -> pathlib.Path:
    """Our packers as a program."""
    if shutil.which("swiftc") is None:
        raise measure.CannotMeasure("swiftc is not installed")
    sources = [path for path in sorted((harness.ROOT / "Sources" / "Packing").glob("*.swift")) if "import JSON" not in path.read_text()]
    program = folder / "packing"
    main = pathlib.Path(__file__).resolve().parent / "packing" / "main.swift"
    subprocess.run(["swiftc", "-O", "-o", str(program), *map(str, sources), str(main)], check=True, capture_output=True)
    return program


def ours(program: pathlib.Path, folder: pathlib.Path, lengths: list[int], packer: str) -> tuple[float, list[list[int]]]:
    """Median seconds of our packing, and its bins."""
    source, result = folder / "lengths.txt", folder / "bins.txt"
    source.write_text("".join(f"{length}\n" for length in lengths))
    command = [str(program), str(source), str(CAPACITY), packer, str(TURNS), str(result)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bins = [[int(record) for record in line.split()] for line in result.read_text().splitlines()]
    return statistics.median(map(float, printed.split())), bins


def timed(pack: Callable[[list[int]], list[list[int]]], lengths: list[int]) -> tuple[float, list[list[int]]]:
    """Seconds of a packing, and its bins."""
    start = time.perf_counter()
    bins = pack(lengths)
    return time.perf_counter() - start, bins


def packing(table, _cores, _daemon, folder: pathlib.Path) -> None:
    """A hundred thousand lengths into bins."""
    program = compiled(folder)
    lengths = random_lengths(COUNT)
    seconds, bins = ours(program, folder, lengths, "first_fit_decreasing")
    tree_seconds, tree_bins = timed(treed, lengths)
    part = lengths[:SCANNED]
    part_seconds, part_bins = ours(program, folder, part, "first_fit_decreasing")
    scan_seconds, scan_bins = timed(scanned, part)
    equal = bins == tree_bins and part_bins == scan_bins
    what = "first_fit_decreasing of"
    table.add(
        f"{what} {COUNT:,} lengths, s", f"{seconds:.4f}", f"{tree_seconds:.2f} tree in Python", seconds / tree_seconds, "< 0.1 s", seconds < 0.1
    )
    table.add(f"{what} {SCANNED:,} lengths, s", f"{part_seconds:.4f}", f"{scan_seconds:.2f} scan in Python", part_seconds / scan_seconds)
    table.add("  their bins", f"{len(bins):,} and {len(part_bins):,}", "the same" if equal else "others", None, "the same", equal)
    for packer in PACKERS:
        seconds, bins = ours(program, folder, lengths, packer)
        used = sum(lengths) / (len(bins) * CAPACITY)
        table.add(f"{packer} of {COUNT:,} lengths, s", f"{seconds:.4f}", f"{len(bins):,} bins, {used:.2%} used")


PARTS = [packing]
