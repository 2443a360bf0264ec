"""Reads a folder of shards with Python's own tarfile and sqlite3, the way Energon's `prepare` indexes one, and prints what it found.

    check_shards.py FOLDER    prints JSON: members, offsets, index, split and the samples that sample_loader.py makes
"""

import json
import re
import sqlite3
import struct
import sys
import tarfile
from pathlib import Path

#: A member's name is its sample's key, up to the first dot of the file's name, and the part.
NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")


def lines(path):
    """The flat YAML that the metadata are written in: nested mappings of lists and numbers."""
    tree, part = {}, None
    for line in path.read_text().splitlines():
        if line.startswith("  - "):
            tree[part].append(line[4:])
        elif line.startswith("  "):
            key, _, value = line.strip().partition(":")
            part = key
            tree[key] = [] if value.strip() in ("", "[]") else value.strip()
    return tree


def scan(shard):
    """The samples of a shard as (key, offset, size, parts), the members' headers, and where the end mark starts."""
    samples, heads = [], set()
    with tarfile.open(shard, "r:") as tar:
        for member in tar:
            key, part = NAME.match(member.name).groups()
            if not samples or samples[-1]["key"] != key:
                samples.append({"key": key, "offset": member.offset, "parts": {}})
            samples[-1]["parts"][part] = (member.offset_data, member.size, tar.extractfile(member).read())
            heads.add((member.mode, member.uid, member.gid, member.uname, member.gname, member.mtime, member.type.decode()))
        end = tar.offset
    for sample, after in zip(samples, [*(sample["offset"] for sample in samples[1:]), end], strict=True):
        sample["size"] = after - sample["offset"]
    return samples, sorted(heads), end


def load(folder):
    """The functions of sample_loader.py."""
    scope = {}
    exec(compile((folder / "sample_loader.py").read_text(), "sample_loader.py", "exec"), scope)
    return scope["sample_loader"], scope["part_filter"]


def main(folder):
    """Check the folder and print what is in it."""
    meta = folder / ".nv-meta"
    counts = json.loads((meta / ".info.json").read_text())["shard_counts"]
    assert {name: int(count) for name, count in lines(meta / ".info.yaml").items()} == counts
    assert sorted(path.name for path in folder.glob("*.tar")) == sorted(counts)
    assert (folder / next(iter(counts))).stat().st_size % 10240 == 0
    sample_loader, part_filter = load(meta)
    rows, part_rows, all_heads, loaded, keys = [], [], set(), [], {}
    for file, name in enumerate(counts):
        samples, heads, end = scan(folder / name)
        assert len(samples) == counts[name]
        offsets = (folder / (name + ".idx")).read_bytes()
        assert list(struct.unpack(f"<{len(offsets) // 8}Q", offsets)) == [*(sample["offset"] for sample in samples), end]
        all_heads.update(heads)
        keys[name] = [sample["key"] for sample in samples]
        for index, sample in enumerate(samples):
            rows.append((file, sample["key"], index, sample["offset"], sample["size"]))
            for part, (offset, size, _) in sample["parts"].items():
                part_rows.append((file, index, part, offset, size))
            raw = {part: content for part, (_, _, content) in sample["parts"].items() if part_filter(part)}
            raw["json"] = json.loads(raw["json"])
            made = sample_loader(raw)
            loaded.append({**made, "image": made["image"].decode("latin-1"), "key": sample["key"]})
    index = sqlite3.connect(meta / "index.sqlite")
    assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(index.execute("SELECT * FROM samples")) == sorted(rows)
    assert sorted(index.execute("SELECT * FROM sample_parts")) == sorted(part_rows)
    print(json.dumps({
        "counts": counts, "heads": sorted(all_heads), "split": lines(meta / "split.yaml"), "loaded": loaded, "keys": keys,
        "indexes": sorted(name for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")),
        "uuid": (meta / "index.uuid").read_text(), "dataset": (meta / "dataset.yaml").read_text(),
    }))  # fmt: skip


main(Path(sys.argv[1]))
