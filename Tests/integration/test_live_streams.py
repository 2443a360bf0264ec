"""Live numbers: history first and then what happens, without a gap and without a repeat, however often the line breaks."""

import contextlib
import http.client
import json
import socket

from conftest import python, shell, wait_until

#: Points of an attempt that streams can go back to one by one: metricReplayPointsMax and metricTailPointsMax of StoreLimits.
REPLAY_POINTS, TAIL_POINTS = 16_384, 8192

#: Writes steps `FIRST` to `LAST` of `KEYS`, and after each step named in `GATES` waits for the file of that name.
WRITER = """
import json, os, sys, threading
folder, keys, last, *gates = sys.argv[1:]
file, pause = open(os.environ["ANNEAL_METRICS"], "a"), threading.Event()
for step in range(1, int(last) + 1):
    file.write(json.dumps({"step": step, "time": 1.7e9 + step, **{key: step / 7 for key in keys.split(",")}}) + "\\n")
    if str(step) in gates:
        file.flush()
        while not os.path.exists(os.path.join(folder, str(step))):
            pause.wait(0.01)
"""


def writer(folder, last, *gates, keys="train/loss"):
    """A job that writes `last` steps and waits at each gate for a file of its number in `folder`."""
    return python(WRITER, str(folder), keys, str(last), *map(str, gates))


@contextlib.contextmanager
def stream(daemon, path, **headers):
    """Opens a stream; yields an iterator over its frames as (event, id, data), which ends where the line does."""
    host, port = daemon.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.headers.get_content_type() == "text/event-stream"
        yield frames(answer)
    finally:
        connection.close()


def frames(answer):
    """The frames of server-sent events (WHATWG HTML, section 9.2)."""
    fields = {}
    try:
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields.keys() & {"data"}:
                yield fields["event"], fields.get("id"), json.loads(fields["data"])
                fields = {}
    except (http.client.IncompleteRead, OSError):
        return


class Reader:
    """A client that takes points from a stream and comes back with the last identifier that it heard."""

    def __init__(self, daemon, path):
        self.daemon, self.path = daemon, path
        self.last, self.steps, self.types = None, [], []

    def read(self, enough=lambda reader: False):
        """Reads until `enough`, or the line breaks, or the stream ends. True where it has ended."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        with stream(self.daemon, self.path, **headers) as events:
            for event, identifier, data in events:
                self.last = identifier or self.last
                self.types.append(event)
                if event == "metric":
                    self.steps += [(point["key"], point["step"]) for point in data["data"]["points"]]
                if event == "end" or enough(self):
                    return event == "end"
        return False


def fixed_port(make_daemon):
    """A daemon that listens at the same place after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return make_daemon("--gpus", "none", "--cpus", "2", "--listen", f"127.0.0.1:{port}").start()


def counted(daemon, job, count):
    """Waits until the job has `count` points under one key."""
    wait_until(lambda: any(key["count"] == count for key in daemon.get(f"/v1/jobs/{job}/metrics").json["keys"]), f"{count} points")


def test_a_stream_goes_on_across_restarts_of_the_daemon_without_gap_or_repeat(make_daemon, tmp_path):
    daemon = fixed_port(make_daemon)
    answer = daemon.submit({"name": "t", "jobs": {"a": writer(tmp_path, 400, 100, 200, 300)}})
    job = answer.json["jobs"][0]["id"]
    counted(daemon, job, 100)
    reader = Reader(daemon, f"/v1/stream?job={job}")
    reader.read(lambda reader: len(reader.steps) >= 100)
    for gate in (100, 200, 300):
        daemon.restart()
        (tmp_path / str(gate)).touch()
        ended = reader.read(lambda reader, gate=gate: gate < 300 and len(reader.steps) >= gate + 50)
    assert ended and reader.steps == [("train/loss", step) for step in range(1, 401)]
    assert "gap" not in reader.types


def test_a_long_history_is_told_from_the_curves_and_can_break_off_anywhere(make_daemon, tmp_path):
    """More points than are kept one by one; the reader leaves amid the history, and the daemon dies."""
    count = REPLAY_POINTS + 2 * TAIL_POINTS
    daemon = fixed_port(make_daemon)
    answer = daemon.submit({"name": "t", "jobs": {"a": writer(tmp_path, count + 100, count, keys="a,b")}})
    job = answer.json["jobs"][0]["id"]
    counted(daemon, job, count)
    reader = Reader(daemon, f"/v1/stream?job={job}&types=metric")
    reader.read(lambda reader: len(reader.steps) >= 5000)
    assert ":" in reader.last
    daemon.restart()
    reader.read(lambda reader: len(reader.steps) >= 40_000)
    (tmp_path / str(count)).touch()
    assert reader.read()
    for key in "ab":
        assert [step for name, step in reader.steps if name == key] == list(range(1, count + 101))
    assert "gap" not in reader.types


def test_keys_choose_what_is_told(shared_daemon, tmp_path):
    keys = "train/loss,train/lr,val/loss"
    job = shared_daemon.run({"name": "keys", "jobs": {"a": writer(tmp_path, 30, keys=keys)}})["jobs"]["a"]["id"]
    for query, expected in (
        ("key=val/*", {"val/loss"}), ("key=*loss", {"train/loss", "val/loss"}), ("key=train/lr&key=val/loss", {"train/lr", "val/loss"}),
        ("key=nothing", set()), ("key=*", set(keys.split(","))),
    ):
        reader = Reader(shared_daemon, f"/v1/stream?job={job}&{query}&types=metric")
        assert reader.read() and {key for key, _ in reader.steps} == expected
        assert len(reader.steps) == 30 * len(expected)


def test_keys_choose_among_live_points_too(shared_daemon, tmp_path):
    answer = shared_daemon.submit({"name": "live-keys", "jobs": {"a": writer(tmp_path, 40, 20, keys="x,y")}})
    job = answer.json["jobs"][0]["id"]
    counted(shared_daemon, job, 20)
    seen = []

    def enough(reader):
        seen.append(len(reader.steps))
        (tmp_path / "20").touch()
        return False

    reader = Reader(shared_daemon, f"/v1/stream?job={job}&key=y")
    assert reader.read(enough) and reader.steps == [("y", step) for step in range(1, 41)]
    assert "state" in reader.types


def test_lines_of_json_come_by_accept_and_tell_the_same(shared_daemon, tmp_path):
    job = shared_daemon.run({"name": "lines", "jobs": {"a": writer(tmp_path, 50)}})["jobs"]["a"]["id"]
    answer = shared_daemon.get(f"/v1/stream?job={job}", Accept="application/x-ndjson")
    assert answer.headers.get_content_type() == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    with stream(shared_daemon, f"/v1/stream?job={job}", Accept="text/event-stream") as events:
        framed = list(events)
    assert lines == [data for _, _, data in framed]
    assert [line["type"] for line in lines] == [event for event, _, _ in framed] and lines[-1]["type"] == "end"
    for line in lines:
        if line["type"] == "metric":
            assert line["job_id"] == job and line["attempt_id"].startswith("att_") and line["data"]["attempt"] == 1


def test_the_stream_of_a_job_ends_with_the_job_and_not_with_its_experiment(shared_daemon, tmp_path):
    jobs = {"short": shell("true"), "long": shell(f"while ! test -e {tmp_path}/go; do sleep 0.02; done")}
    answer = shared_daemon.submit({"name": "two", "jobs": jobs})
    named = {job["name"]: job["id"] for job in answer.json["jobs"]}
    assert Reader(shared_daemon, f"/v1/stream?job={named['short']}").read()
    assert shared_daemon.job(named["long"])["state"] in ("queued", "starting", "running")
    reader = Reader(shared_daemon, f"/v1/stream?experiment={answer.json['id']}")

    def enough(reader):
        (tmp_path / "go").touch()
        return False

    assert reader.read(enough) and reader.types[-1] == "end"


def test_a_client_that_never_reads_is_told_of_its_gap_and_slows_nobody(daemon, tmp_path):
    """It is sent far more than the kernel and the daemon hold for it, until points are no longer kept one by one."""
    key, count = "k" * 240, 45_000
    answer = daemon.submit({"name": "t", "jobs": {"a": writer(tmp_path, count, 10, keys=key)}})
    job = answer.json["jobs"][0]["id"]
    counted(daemon, job, 10)
    host, port = daemon.url.removeprefix("http://").split(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(f"GET /v1/stream?job={job} HTTP/1.0\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        (tmp_path / "10").touch()
        reader = Reader(daemon, f"/v1/stream?job={job}")
        assert reader.read() and reader.steps == [(key, step) for step in range(1, count + 1)]
        assert "gap" not in reader.types
        lazy.settimeout(60)
        body = b"".join(iter(lambda: lazy.recv(1 << 16), b""))
    events = [json.loads(line) for line in body.split(b"\r\n\r\n", 1)[1].splitlines()]
    assert events[-1]["type"] == "end"
    told = [point["step"] for event in events if event["type"] == "metric" for point in event["data"]["points"]]
    assert told == sorted(set(told)), "a point was told twice"
    gaps = [event for event in events if event["type"] == "gap"]
    assert gaps, f"{count - len(told)} points are missing, and no gap was told"
    # What was left out is where the gap says it is.
    for gap in gaps:
        assert gap["data"]["from"] < gap["data"]["to"] and gap["job_id"] == job
        points = daemon.get(gap["data"]["fetch"]).json["curves"][0]["points"]
        assert [point["step"] for point in points] == list(range(1, count + 1))


def test_a_client_that_comes_back_after_too_long_is_told_of_its_gap(daemon, tmp_path):
    count = REPLAY_POINTS + 2 * TAIL_POINTS
    answer = daemon.submit({"name": "t", "jobs": {"a": writer(tmp_path, count, 10)}})
    job = answer.json["jobs"][0]["id"]
    counted(daemon, job, 10)
    reader = Reader(daemon, f"/v1/stream?job={job}")
    reader.read(lambda reader: len(reader.steps) == 10)
    (tmp_path / "10").touch()
    daemon.finished(answer.json["id"])
    assert reader.read() and "gap" in reader.types
    steps = [step for _, step in reader.steps]
    assert steps == sorted(set(steps)) and steps[:10] == list(range(1, 11)) and steps[-1] == count and len(steps) < count


def test_what_a_client_says_it_heard_must_be_an_identifier(daemon):
    job = daemon.run({"name": "t", "jobs": {"a": shell("true")}})["jobs"]["a"]["id"]
    for text in ("x", "1:2:3", "-1", "1.", "9" * 50):
        assert daemon.get(f"/v1/stream?job={job}", **{"Last-Event-ID": text}).status == 400, text
        assert daemon.get(f"/v1/stream?job={job}&after={text}").status == 400, text
