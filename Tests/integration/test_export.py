"""An experiment leaves one daemon as an archive and becomes a record of another; what is damaged or strange leaves nothing."""

import hashlib
import io
import json
import os
import socket
import sqlite3
import subprocess
import tarfile

import pytest

from conftest import PROGRAMS, quick_training, shell, wait_until

#: A command that makes a model, an evaluation with its items, a curve and a log.
MAKES = """
import json, os, pathlib, time
out = pathlib.Path(os.environ["ANNEAL_OUTPUT_DIR"])
deep = out / "model" / ("long-" * 20) / ("name-" * 20)
deep.mkdir(parents=True)
(deep / "weights.bin").write_bytes(b"w" * 3000)
(out / "model" / "config.json").write_text("{}")
items = out / "items.jsonl"
items.write_text("".join(json.dumps({"index": i, "score": i % 2}) + "\\n" for i in range(4)))
(out / "evaluation.json").write_text(json.dumps({"version": 1, "model": str(out / "model"), "server": {"engine": "transformers"}, "benchmarks": [{
    "name": "toy", "dataset": {"sha256": "0" * 64, "path": str(items)}, "samples": 1, "grader": "exact", "settings": {},
    "item_count": 4, "metrics": {"accuracy": {"value": 0.5, "stderr": 0.25}}, "items": str(items), "item_scores": [0, 1, 0, 1]}]}))
with open(os.environ["ANNEAL_METRICS"], "a") as metrics:
    for step in range(100):
        metrics.write(json.dumps({"step": step, "time": time.time(), "train/loss": float("nan") if step == 7 else 3.0 - step / 50}) + "\\n")
os.symlink("/etc/hostname", out / "leads-out")
print("made a model")
pathlib.Path(os.environ["ANNEAL_OUTPUTS"]).write_text(json.dumps({"outputs": {
    "model": {"type": "checkpoint", "path": str(out / "model"), "step": 4, "metrics": {"val_loss": 1.0}},
    "evaluation": {"type": "evaluation", "path": str(out / "evaluation.json")}}, "summary": {"accuracy": 0.5}}))
"""
RECORDS = [{"input": f"{n}*10=?", "output": str(n * 10)} for n in range(20)]
SPEC = {
    "name": "journey",
    "tags": {"team": "tokyo"},
    "jobs": {
        "data": {"kind": "prepare", "source": {"file": "tens.jsonl"}, "steps": [{"split": {"train": 0.8, "validation": 0.2, "seed": 1}}], "register_as": "tens"},
        "makes": {"kind": "command", "command": ["python3", "-c", MAKES], "outputs": ["model", "evaluation"], "needs": ["data"]},
        "fails": {**shell("echo no >&2; exit 3"), "needs": ["makes"]},
    },
}


def run(daemon, *arguments, **more):
    """The CLI against a daemon."""
    environment = {**os.environ, "ANNEAL_URL": daemon.url, **({"ANNEAL_TOKEN": daemon.token} if daemon.token else {})}
    return subprocess.run([PROGRAMS / "anneal", *map(str, arguments)], env=environment, capture_output=True, timeout=120, **more)


def export(daemon, experiment, target, *flags):
    done = run(daemon, "export", experiment, "--out", target, *flags)
    assert done.returncode == 0, done.stderr
    return target


def journey(daemon, folder):
    """Runs the experiment of these tests and returns its view with whole jobs."""
    (folder / "tens.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return daemon.run(SPEC, f"?base_directory={folder}")


def told(daemon, experiment):
    """All that a daemon tells of an experiment, without its places on the disk."""
    view = daemon.get(f"/v1/experiments/{experiment}").json
    jobs = [daemon.job(job["id"]) for job in view["jobs"]]
    curves = {job["id"]: daemon.curve(job["id"], "train/loss") for job in jobs if job["name"] == "makes"}
    logs = {job["id"]: daemon.logs(job["id"]) + daemon.logs(job["id"], "?stream=stderr") for job in jobs}
    evaluations = daemon.get(f"/v1/evaluations?experiment={experiment}").json["data"]
    items = [daemon.get(f"/v1/evaluations/{evaluation['id']}/items").json for evaluation in evaluations]
    datasets = [daemon.get(f"/v1/datasets/{name}").json for name in ("tens.train", "tens.validation")]
    contents = [daemon.get(f"/v1/datasets/{name}/content").body for name in ("tens.train", "tens.validation")]
    checkpoints = [daemon.get(f"/v1/checkpoints?job={job['id']}").json["data"] for job in jobs]
    text = json.dumps([view, jobs, curves, evaluations, items, datasets, checkpoints]).replace(str(daemon.folder), "DATA")
    return *json.loads(text), logs, contents


def tree(folder, name):
    """The files of a job or an attempt, by their names, with their hashes."""
    root = folder / name
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


def leftovers(daemon):
    """What imports and exports have left in the data folder."""
    return [path.name for path in (daemon.folder / "uploads").iterdir()]


def rows(daemon, query):
    with sqlite3.connect(daemon.folder / "anneal.db") as database:
        return database.execute(query).fetchall()


def test_an_experiment_is_the_same_elsewhere(make_daemon, tmp_path):
    first = make_daemon("--gpus", "none", "--cpus", "2", folder="first").start()
    second = make_daemon("--gpus", "none", "--cpus", "2", folder="second").start()
    # The second daemon has rows of its own, so that small numbers cannot stay.
    second.run({"name": "own", "jobs": {"a": shell('echo \'{"step": 1, "own/x": 2}\' >> $ANNEAL_METRICS; echo own')}})
    before = journey(first, tmp_path)
    experiment = before["id"]
    archive = export(first, "journey", tmp_path / "journey.tar")
    names = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    assert names[:2] == ["export.json", "anneal.db"] and names[-1] == "manifest.json"
    assert any(len(name) > 200 and name.endswith("weights.bin") for name in names)
    assert not [name for name in names if name.endswith(("spec.json", "shim.json", "/lock", "leads-out"))]
    with tarfile.open(archive) as opened:
        manifest = json.load(opened.extractfile("manifest.json"))
        assert all(hashlib.sha256(opened.extractfile(file["path"]).read()).hexdigest() == file["sha256"] for file in manifest["files"])
    assert [name.rsplit("/", 1)[1] for name in manifest["left_out"]] == ["leads-out"]
    assert b"ann_" not in archive.read_bytes()
    done = run(second, "import", archive)
    assert done.returncode == 0 and experiment in done.stdout.decode(), done
    for here, there in zip(told(second, experiment), told(first, experiment), strict=True):
        assert here == there
    for job in before["jobs"].values():
        assert tree(second.folder, f"jobs/{job['id']}") == tree(first.folder, f"jobs/{job['id']}")
    assert rows(second, "PRAGMA foreign_key_check") == [] and rows(second, "PRAGMA integrity_check") == [("ok",)]
    for command in (["show", "journey"], ["plot", "journey/makes", "--key", "train/loss"], ["logs", "journey/makes"], ["lineage", before["jobs"]["makes"]["id"]]):
        here, there = run(first, *command), run(second, *command)
        assert (here.returncode, there.returncode) == (0, 0) and here.stdout.replace(b"first", b"") == there.stdout.replace(b"second", b""), command
    # Twice is told of; a retry is none of this daemon's business; what it brought can be used.
    again = run(second, "import", archive)
    assert again.returncode == 0 and b"already there" in again.stdout
    assert second.post(f"/v1/experiments/{experiment}/retry").status == 409
    assert second.post(f"/v1/jobs/{before['jobs']['fails']['id']}/retry").status == 409
    model = second.get(f"/v1/checkpoints?job={before['jobs']['makes']['id']}").json["data"][0]["id"]
    uses = {"kind": "evaluate", "model": f"checkpoint:{model}", "server": {"url": "http://127.0.0.1:9", "model": "m"}}
    uses["benchmarks"] = [{"dataset": "tens.train", "samples": 1, "grader": "exact"}]
    assert second.submit({"name": "uses", "jobs": {"uses": uses}}, "?dry_run=true").json["fits"]
    assert (second.folder / second.get(f"/v1/checkpoints/{model}").json["path"] / "config.json").read_text() == "{}"
    wait_until(lambda: leftovers(first) == leftovers(second) == [], "the cleaning up")
    second.restart()
    assert told(second, experiment) == told(first, experiment)


def test_what_is_there_is_never_written_over(make_daemon, tmp_path):
    first = make_daemon("--gpus", "none", "--cpus", "2", folder="first").start()
    second = make_daemon("--gpus", "none", "--cpus", "2", folder="second").start()
    # The name has other content there already.
    second.post("/v1/datasets?name=tens.train", b'{"input":"a","output":"b"}\n')
    before = journey(first, tmp_path)
    archive = export(first, before["id"], tmp_path / "one.tar")
    own = run(first, "import", archive)
    assert own.returncode == 4 and b"daemon's own" in own.stderr
    assert run(second, "import", archive, "--project", "archive").returncode == 0
    assert second.get(f"/v1/experiments/{before['id']}").json["project"] == "archive"
    assert [row[0] for row in rows(second, "SELECT version FROM dataset WHERE name = 'tens.train' ORDER BY version")] == [1, 2]
    # Another state of it: a note on a checkpoint.
    checkpoint = first.get(f"/v1/checkpoints?job={before['jobs']['makes']['id']}").json["data"][0]["id"]
    assert first.post(f"/v1/checkpoints/{checkpoint}/pin").status == 200
    other = export(first, before["id"], tmp_path / "two.tar")
    refused = run(second, "import", other)
    assert refused.returncode == 4 and b"another state" in refused.stderr
    copied = run(second, "import", other, "--copy", "--json")
    view = json.loads(copied.stdout)
    assert copied.returncode == 0 and view["id"] != before["id"] and view["renamed"] > 5, copied
    ours = run(first, "import", "-", "--copy", stdin=archive.open("rb"))
    assert ours.returncode == 0, ours.stderr
    for daemon, experiment in ((second, view["id"]), (first, ours.stdout.decode().split("imported as ")[1].split(",")[0])):
        copy = {job["name"]: daemon.job(job["id"]) for job in daemon.get(f"/v1/experiments/{experiment}").json["jobs"]}
        assert daemon.curve(copy["makes"]["id"], "train/loss") == first.curve(before["jobs"]["makes"]["id"], "train/loss")
        assert daemon.logs(copy["makes"]["id"]) == b"made a model\n" and copy["fails"]["attempts"][0]["exit_code"] == 3
        assert before["jobs"]["makes"]["id"] not in json.dumps(copy)
        assert tree(daemon.folder, f"jobs/{copy['makes']['id']}")["outputs/model/config.json"] == hashlib.sha256(b"{}").hexdigest()
    assert rows(second, "PRAGMA foreign_key_check") == [] and rows(first, "PRAGMA foreign_key_check") == []


def test_what_runs_is_exported_as_it_is(make_daemon, tmp_path):
    environment, training = quick_training(tmp_path)
    first = make_daemon("--gpus", "none", "--cpus", "2", folder="first", **environment).start()
    second = make_daemon("--gpus", "none", "--cpus", "2", folder="second").start()
    answer = first.submit({"name": "long", "jobs": {"train": {**training, "resources": {"cpus": 2}}, "after": {**shell("true"), "needs": ["train"]}}})
    job = answer.json["jobs"][0]["id"]
    first.wait_for(job, "running")
    wait_until(lambda: first.get(f"/v1/checkpoints?job={job}").json["data"], "a checkpoint")
    archive = export(first, "long", tmp_path / "long.tar")
    assert run(second, "import", archive).returncode == 0
    view = second.get(f"/v1/experiments/{answer.json['id']}").json
    assert view["state"] == "failed" and view["finished_at"]
    states = {job["name"]: second.job(job["id"]) for job in view["jobs"]}
    assert (states["train"]["state"], states["train"]["reason"], states["train"]["attempts"][0]["state"]) == ("lost", "imported", "lost")
    assert (states["after"]["state"], states["after"]["reason"]) == ("cancelled", "imported")
    for row in second.get(f"/v1/checkpoints?job={job}").json["data"]:
        if row["deleted_at"] is None:
            assert (second.folder / "jobs" / job / "checkpoints" / f"step_{row['step']}" / "model.bin").stat().st_size == 1 << 16
    assert first.job(job)["state"] == "running"
    none = export(first, "long", tmp_path / "none.tar", "--artifacts", "none")
    with tarfile.open(none) as opened:
        assert {name.split("/")[0] for name in opened.getnames()} == {"export.json", "anneal.db", "attempts", "manifest.json"}
    bare = export(first, "long", tmp_path / "bare.tar", "--no-checkpoints")
    with tarfile.open(bare) as opened:
        assert not [name for name in opened.getnames() if "/checkpoints/" in name]
    selected = export(first, "long", tmp_path / "selected.tar", "--artifacts", "selected")
    with tarfile.open(selected) as opened:
        assert not [name for name in opened.getnames() if "/checkpoints/" in name]


def rewritten(archive, target, change):
    """Writes an archive anew: `change(name, content)` returns what becomes of a member, as a list of members to write."""
    with tarfile.open(archive) as source, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as copy:
        for member in source:
            for info, content in change(member, source.extractfile(member).read()):
                info.size = len(content)
                copy.addfile(info, io.BytesIO(content))
    return target


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def with_rows(content, statements, folder):
    """The rows of an archive after some SQL."""
    path = folder / "rows.db"
    path.write_bytes(content)
    with sqlite3.connect(path) as database:
        database.executescript(statements)
    database.close()
    return path.read_bytes()


def inserted(*members):
    """Puts members before the list of all."""
    return lambda info, content: ([*members] if info.name == "manifest.json" else []) + [(info, content)]


def changed(name, make):
    """Changes the content of members of a name."""
    return lambda info, content: [(info, make(content) if info.name.endswith(name) else content)]


def resealed(statements, folder):
    """Rows that were changed, with a list that fits them: whoever makes an archive can make its list."""
    fresh = {}

    def change(info, content):
        if info.name == "anneal.db":
            content = fresh["rows"] = with_rows(content, statements, folder)
        if info.name == "manifest.json":
            manifest = json.loads(content)
            entry = next(file for file in manifest["files"] if file["path"] == "anneal.db")
            entry.update(bytes=len(fresh["rows"]), sha256=hashlib.sha256(fresh["rows"]).hexdigest())
            content = json.dumps(manifest).encode()
        return [(info, content)]

    return change


def edited(content, **members):
    """A JSON document with other members."""
    return json.dumps({**json.loads(content), **members}).encode()


def bad_archives(attempt, folder):
    """What makes an archive bad, and what is then said of it, by a name."""
    return {
        "climbs": (inserted((member(f"attempts/{attempt}/../../../climbed"), b"x")), "leads out"),
        "mark": (inserted((member(f"attempts/{attempt}/../\u0301x"), b"x")), "leads out"),
        "absolute": (inserted((member("/tmp/climbed"), b"x")), "leads out"),
        "strange": (inserted((member("anneal.conf"), b"x")), "no part of"),
        "link": (inserted((member(f"attempts/{attempt}/passwd", tarfile.SYMTYPE, "/etc/passwd"), b"")), "is a link"),
        "hard": (inserted((member(f"attempts/{attempt}/passwd", tarfile.LNKTYPE, "/etc/passwd"), b"")), "is a link"),
        "pipe": (inserted((member(f"attempts/{attempt}/pipe", tarfile.FIFOTYPE), b"")), "neither a file nor a folder"),
        "twice": (inserted((member(f"attempts/{attempt}/stdout.log"), b"x")), "more than once"),
        "unlisted": (inserted((member(f"attempts/{attempt}/extra"), b"x")), "not in manifest.json"),
        "long": (inserted((member(f"attempts/{attempt}/" + "x" * 1024), b"x")), "more than 1024 bytes"),
        "unknown job": (inserted((member("jobs/job_00000000000000000000000000/x"), b"x")), "not in manifest.json"),
        "hash": (changed("stdout.log", lambda content: content.replace(b"made", b"MADE")), "is damaged"),
        "version": (changed("export.json", lambda content: edited(content, format=2)), "use a newer one"),
        "lies": (changed("manifest.json", lambda content: b"{}"), "no list of files"),
        "torn": (changed("manifest.json", lambda content: content[:100]), "is not JSON"),
        "schema": (resealed("INSERT INTO schema_migration SELECT version + 100, 'later', '', 0 FROM schema_migration", folder), "newer program"),
        "trigger": (resealed("CREATE TRIGGER t AFTER UPDATE ON job BEGIN DELETE FROM event; END", folder), "views or triggers"),
        "two": (resealed("INSERT INTO experiment SELECT 'exp_7' || substr(id, 6), name, project, state, reason, message, description, tags, spec, document,"
                         " created_at_ms, finished_at_ms FROM experiment", folder), "2 experiments"),
        "id": (resealed("PRAGMA foreign_keys = OFF; UPDATE attempt SET id = 'att_0/../../x' WHERE job_id IN (SELECT id FROM job WHERE name = 'fails')",
                        folder), "no identifier"),
        "state": (resealed("PRAGMA ignore_check_constraints = ON; UPDATE job SET state = 'odd'", folder), "cannot be used"),
    }


def test_bad_archives_leave_nothing(make_daemon, tmp_path):
    first = make_daemon("--gpus", "none", "--cpus", "2", folder="first").start()
    second = make_daemon("--gpus", "none", "--cpus", "2", folder="second").start()
    before = journey(first, tmp_path)
    archive = export(first, before["id"], tmp_path / "whole.tar")
    whole = archive.read_bytes()
    attempt = before["jobs"]["makes"]["attempts"][0]["id"]
    wrong = bad_archives(attempt, tmp_path)
    tables = ("experiment", "job", "attempt", "dataset", "checkpoint", "metric_series", "metric_key", "event")
    count = lambda: [rows(second, f"SELECT count(*) FROM {table}") for table in tables]
    empty = count()
    for name, (change, why) in wrong.items():
        done = run(second, "import", rewritten(archive, tmp_path / "wrong.tar", change))
        assert done.returncode in (1, 2) and why in done.stderr.decode(), (name, done)
    for body, why in ((whole[: len(whole) // 2], "cut off"), (whole[:-20_000], "cut off"), (b"", "cut off"), (b"{}" * 700, "no tar archive")):
        answer = second.post("/v1/experiments/import", body, **{"Content-Type": "application/x-tar"})
        assert answer.status == 400 and why in answer.json["detail"], answer.body
    wait_until(lambda: leftovers(second) == [], "the cleaning up")
    assert count() == empty and not (tmp_path / "climbed").exists()
    assert [list((second.folder / name).iterdir()) for name in ("attempts", "jobs", "datasets")] == [[], [], []]
    # Rows that name files of the machine name nothing once they are here.
    reaching = resealed("UPDATE attempt SET directory = '/etc'; UPDATE checkpoint SET path = '/etc';"
                        " UPDATE evaluation SET path = '/etc/passwd', document = json_replace(document, '$.benchmarks[0].items', '/etc/passwd')", tmp_path)
    assert run(second, "import", rewritten(archive, tmp_path / "wrong.tar", reaching)).returncode == 0
    assert second.logs(before["jobs"]["makes"]["id"]) == b"made a model\n"
    assert "/etc" not in json.dumps(rows(second, "SELECT directory FROM attempt") + rows(second, "SELECT path, document FROM evaluation"))
    assert rows(second, "SELECT count(*) FROM checkpoint WHERE deleted_at_ms IS NULL") == [(0,)]


def test_an_import_that_breaks_off_leaves_nothing(make_daemon, tmp_path):
    first = make_daemon("--gpus", "none", "--cpus", "2", folder="first").start()
    second = make_daemon("--gpus", "none", "--cpus", "2", folder="second").start()
    before = journey(first, tmp_path)
    archive = export(first, before["id"], tmp_path / "whole.tar").read_bytes()
    host, port = second.url.removeprefix("http://").split(":")
    head = f"POST /v1/experiments/import HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/x-tar\r\nContent-Length: {len(archive)}\r\n\r\n"
    for ending in (lambda sender: sender.close(), lambda sender: second.restart()):
        with socket.create_connection((host, int(port))) as sender:
            sender.sendall(head.encode() + archive[: len(archive) // 2])
            wait_until(lambda: list((second.folder / "uploads").glob("import_*/anneal.db")), "the first files")
            ending(sender)
        wait_until(lambda: not leftovers(second), "the cleaning up")
    # A daemon that died between moving the files and the rows.
    died = second.folder / "uploads" / "import_req_x"
    strange, known = "attempts/att_00000000000000000000000000", "attempts/" + second.run({"name": "t", "jobs": {"a": shell("true")}})["jobs"]["a"]["attempts"][0]["id"]
    died.mkdir()
    (second.folder / strange).mkdir()
    (died / "moves.json").write_text(json.dumps([strange, known]))
    second.restart()
    assert not died.exists() and not (second.folder / strange).exists() and (second.folder / known / "exit.json").exists()
    assert second.post("/v1/experiments/import", archive).status == 201


def test_tokens_bound_what_leaves_and_comes(make_daemon, tmp_path):
    (tmp_path / "anneal.yaml").write_text("token: the-configured-token\n")
    daemon = make_daemon("--gpus", "none", "--cpus", "2", "--config", str(tmp_path / "anneal.yaml"))
    daemon.token = "the-configured-token"
    daemon.start()
    mine = daemon.run({"name": "mine", "project": "mine", "jobs": {"a": shell("echo mine")}})
    archive = export(daemon, mine["id"], tmp_path / "mine.tar").read_bytes()

    def made(name, scope, *projects):
        body = {"name": name, "scope": scope, **({"projects": list(projects)} if projects else {})}
        return daemon.post("/v1/tokens", json.dumps(body).encode(), **{"Content-Type": "application/json"}).json["token"]

    tokens = {"reads": made("reads", "read"), "other": made("other", "submit", "other"), "submits": made("submits", "submit", "mine")}
    export_path, import_path = f"/v1/experiments/{mine['id']}/export", "/v1/experiments/import?copy=true"
    for name, path, body, status in (
        ("reads", export_path, None, 200), ("other", export_path, None, 404), ("submits", export_path, None, 200),
        ("reads", import_path, archive, 403), ("other", import_path, archive, 403), ("other", import_path + "&project=other", archive, 201),
        ("submits", import_path, archive, 201),
    ):
        daemon.token = tokens[name]
        answer = daemon.post(path, body) if body else daemon.get(path)
        assert answer.status == status, (name, path, answer.status)
