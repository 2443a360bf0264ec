"""Preparation through the daemon: what its last steps register, what its steps read, and what equal jobs share."""

import json
import pathlib
import tarfile

from conftest import command

SHARDS = {"images": "images", "samples_per_shard": 2, "split": {"train": 0.5, "validation": 0.5}}


def conversations(folder: pathlib.Path, count: int) -> pathlib.Path:
    (folder / "images").mkdir(exist_ok=True)
    lines = []
    for number in range(count):
        (folder / "images" / f"{number}.jpg").write_bytes(b"jpeg %d" % number)
        turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": str(number)}]
        lines.append(json.dumps({"id": f"i{number}", "image": f"{number}.jpg", "conversations": turns}))
    path = folder / "llava.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def shard_job(folder: pathlib.Path, **settings) -> dict:
    step = {**SHARDS, "images": str(folder / "images"), **settings}
    return {"kind": "prepare", "source": {"file": str(folder / "llava.jsonl")}, "steps": [{"webdataset": step}]}


def test_shards_are_registered_as_a_folder_that_later_jobs_read(daemon, tmp_path):
    conversations(tmp_path, 5)
    listing = command("sh", "-c", "cat ${shards.dataset}/.nv-meta/split.yaml; ls ${shards.dataset}")
    ended = daemon.run({"name": "vision", "jobs": {"shards": shard_job(tmp_path), "list": listing}})
    assert ended["state"] == "succeeded", {name: job["message"] for name, job in ended["jobs"].items()}
    made = ended["jobs"]["shards"]["outputs"]["dataset"]
    dataset = daemon.get(f"/v1/datasets/{made['id']}").json
    assert (dataset["format"], dataset["rows"], dataset["sha256"]) == ("webdataset", 5, made["sha256"])
    folder = pathlib.Path(made["path"])
    assert dataset["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with tarfile.open(folder / "instruction-000000.tar") as shard:
        assert [name.rpartition(".")[2] for name in shard.getnames()] == ["jpg", "json"] * 2
    assert b"instruction-000002.tar" in daemon.logs(ended["jobs"]["list"]["id"])
    content = daemon.get(f"/v1/datasets/{made['id']}/content")
    assert content.status == 409 and made["path"] in content.json["detail"]
    seen = daemon.get(f"/v1/datasets/{made['id']}/inspect?samples=1").json
    assert seen["samples"][0]["record"]["shard"] == "instruction-000000.tar" and len(seen["samples"]) == 1
    assert {label["value"]: label["records"] for label in seen["labels"]} == {"train": 2, "val": 3}
    assert daemon.get(f"/v1/datasets/diff?from={made['id']}&to={made['id']}").status == 409
    lineage = daemon.get(f"/v1/lineage/{made['id']}").json
    assert {edge["role"] for edge in lineage["edges"] if edge["to"] == ended["jobs"]["shards"]["id"]} >= {"/source/file", "/steps/0/webdataset/images"}
    refused = daemon.request("DELETE", f"/v1/datasets/{made['id']}")
    assert refused.status == 409 and folder.is_dir()


def test_equal_shards_are_one_content_and_a_changed_image_is_another(daemon, tmp_path):
    conversations(tmp_path, 3)
    outputs = lambda name, **settings: daemon.run({"name": name, "jobs": {"a": {**shard_job(tmp_path), **settings}}})["jobs"]["a"]
    first, again = outputs("one"), outputs("two")
    assert again["reason"] == "cached"
    fresh = outputs("three", cache=False)
    assert fresh["reason"] != "cached" and fresh["outputs"]["dataset"]["sha256"] == first["outputs"]["dataset"]["sha256"]
    (tmp_path / "images" / "1.jpg").write_bytes(b"another picture")
    changed = outputs("four")
    assert changed["reason"] != "cached" and changed["outputs"]["dataset"]["sha256"] != first["outputs"]["dataset"]["sha256"]


def test_a_folder_of_shards_is_refused_where_records_are_read(daemon, tmp_path):
    conversations(tmp_path, 3)
    reading = {"kind": "prepare", "source": {"dataset": "${shards.dataset}"}}
    ended = daemon.run({"name": "wrong", "jobs": {"shards": shard_job(tmp_path), "reads": reading}})
    assert ended["jobs"]["reads"]["state"] == "failed"
    assert "folder of WebDataset shards" in ended["jobs"]["reads"]["message"], ended["jobs"]["reads"]


def line(problem: str) -> bytes:
    return json.dumps({"input": problem, "output": "x"}).encode() + b"\n"


def test_what_steps_and_interleaved_sources_read_is_resolved_and_counts_for_the_cache(daemon, tmp_path):
    for name, text in {"first": "one two three four", "second": "five six seven eight", "bench": "five six seven eight"}.items():
        assert daemon.post(f"/v1/datasets?name={name}", line(text)).status == 201
    extra = tmp_path / "extra.jsonl"
    extra.write_bytes(line("nine ten eleven twelve"))
    source = {"interleave": {"sources": [{"dataset": "first"}, {"dataset": "second"}, {"file": [str(extra)]}]}}
    job = {"kind": "prepare", "source": source, "steps": [{"decontaminate": {"against": ["bench"], "ngram": 4}}]}
    after = command("cat", "${clean.decontamination}")
    ended = daemon.run({"name": "mix", "jobs": {"clean": job, "show": after}})
    assert ended["state"] == "succeeded", {name: job["message"] for name, job in ended["jobs"].items()}
    clean = ended["jobs"]["clean"]
    assert clean["outputs"]["dataset"]["rows"] == 2
    assert json.loads(daemon.logs(ended["jobs"]["show"]["id"]))["contaminated"] == 1
    edges = daemon.get(f"/v1/lineage/{clean['outputs']['dataset']['id']}").json["edges"]
    roles = {edge["role"] for edge in edges if edge["to"] == clean["id"]}
    assert {"/source/interleave/sources/0/dataset", "/source/interleave/sources/2/file/0", "/steps/0/decontaminate/against/0"} <= roles
    assert daemon.run({"name": "mix", "jobs": {"clean": job}})["jobs"]["clean"]["reason"] == "cached"
    # A new version of the benchmark's name, and a changed file, make another job of it.
    daemon.post("/v1/datasets?name=bench", line("one two three four"))
    changed = daemon.run({"name": "mix", "jobs": {"clean": job}})["jobs"]["clean"]
    assert changed["reason"] != "cached"
    extra.write_bytes(line("thirteen fourteen"))
    assert daemon.run({"name": "mix", "jobs": {"clean": job}})["jobs"]["clean"]["reason"] != "cached"


def test_bad_records_are_counted_listed_and_handed_on(daemon, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(line("a") + b"{broken\n" + line("b"))
    job = {"kind": "prepare", "source": {"file": str(source)}, "on_bad_record": "drop", "bad_records_max": 1}
    ended = daemon.run({"name": "bad", "jobs": {"a": job, "show": command("cat", "${a.bad_records}")}})
    assert ended["state"] == "succeeded", {name: job["message"] for name, job in ended["jobs"].items()}
    assert ended["jobs"]["a"]["outputs"]["dataset"]["rows"] == 2
    told = json.loads(daemon.logs(ended["jobs"]["show"]["id"]))
    assert (told["line"], told["file"]) == (2, str(source)) and told["detail"].startswith("not JSON")


def test_a_plan_is_made_by_the_tokenizer_of_a_job_before(make_daemon, trainer_python):
    daemon = make_daemon("--gpus", "none", "--cpus", "2", ANNEAL_PYTHON=trainer_python).start()
    data = {"kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 40}}}
    base = {
        "kind": "convert",
        "create": {
            "architecture": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "max_position_embeddings": 64,
        },
        "tokenizer": {"type": "byte_bpe", "train_on": "${data.dataset}", "vocab_size": 300},
    }  # fmt: skip
    packed = {
        **data, "steps": [
            {"split": {"train": 32, "validation": 8}},
            {"pack": {"model": "${base.model}", "capacity": 256, "bin_count_multiple": 2, "global_batch_size": 8}},
        ],
    }  # fmt: skip
    show = command("head", "-n", "1", "${packed.plan.train}")
    ended = daemon.run({"name": "plan", "jobs": {"data": data, "base": base, "packed": packed, "show": show}})
    assert ended["state"] == "succeeded", {name: job["message"] for name, job in ended["jobs"].items()}
    header = json.loads(daemon.logs(ended["jobs"]["show"]["id"]))
    train = ended["jobs"]["packed"]["outputs"]["train"]
    assert header["dataset_sha256"] == train["sha256"] and header["records"] == 32 and header["bins"] % 2 == 0
    figures = daemon.job(ended["jobs"]["packed"]["id"])["summary"]["packing"]
    assert figures["train"]["num_bins"] == header["bins"] and figures["train"]["rescaled_global_batch_size"] >= 2
    assert figures["validation"]["num_sequences"] == 8
    assert daemon.curve(ended["jobs"]["packed"]["id"], "packing/train/bins")[-1]["value"] == header["bins"]
    assert b"packed train: 32 sequences" in daemon.logs(ended["jobs"]["packed"]["id"])
