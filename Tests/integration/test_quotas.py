"""What projects and callers may take: at the limit and one past it, also where many come at once."""

import concurrent.futures
import json

from conftest import shell
from test_access import JSON, make_guarded, make_token, sent

HELD = shell("true", hold=True)


def change(daemon, **terms):
    """Sets limits of the project `p`."""
    assert daemon.request("PATCH", "/v1/projects/p", json.dumps(terms).encode(), dict(JSON)).status == 200


def test_submissions_at_one_moment_do_not_pass_a_quota_together(daemon):
    change(daemon, queued_limit=5)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        specs = [{"name": f"n{number}", "project": "p", "jobs": {"a": HELD}} for number in range(12)]
        statuses = [answer.status for answer in pool.map(daemon.submit, specs)]
    assert sorted(statuses) == [201] * 5 + [409] * 7
    # Another project has room, and so has this one once a job has gone.
    assert daemon.submit({"name": "other", "jobs": {"a": HELD}}).status == 201
    first = next(one for one in daemon.get("/v1/experiments?project=p").json["data"])["id"]
    daemon.post(f"/v1/experiments/{first}/cancel")
    daemon.finished(first)
    assert daemon.submit({"name": "again", "project": "p", "jobs": {"a": HELD}}).status == 201
    assert daemon.submit({"name": "more", "project": "p", "jobs": {"a": HELD}}).status == 409
    # What is refused for another reason takes no room.
    change(daemon, queued_limit=6)
    for _ in range(3):
        assert daemon.submit({"name": "again", "project": "p", "jobs": {"a": HELD}}).status == 409
    assert daemon.submit({"name": "last", "project": "p", "jobs": {"a": HELD}}).status == 201


def test_a_project_may_fill_its_part_of_the_disk_and_no_more(daemon):
    rows = {"kind": "prepare", "source": {"generator": {"name": "times_ten", "count": 50}}}
    assert daemon.run({"name": "rows", "project": "p", "jobs": {"r": rows}})["state"] == "succeeded"
    kept = daemon.get("/v1/projects/p").json["artifact_bytes"]
    spec = {"name": "more", "project": "p", "jobs": {"a": shell("true")}}
    change(daemon, artifact_bytes_limit=kept)
    refused = daemon.submit(spec)
    assert refused.status == 409 and f"may keep {kept} bytes" in refused.json["detail"]
    change(daemon, artifact_bytes_limit=kept + 1)
    assert daemon.run(spec)["state"] == "succeeded"


def test_an_address_behind_a_proxy_has_its_own_rate(make_daemon, tmp_path):
    limits = "proxies: [127.0.0.1]\nrate_limits: {address_per_second: 0.01, address_burst: 4, token_per_second: 1000, token_burst: 1000}\n"
    daemon = make_guarded(make_daemon, tmp_path, limits)
    token = daemon.token

    def ask(address):
        return sent(daemon, token, "GET", "/v1/jobs", **{"X-Forwarded-For": address})

    answers = [ask("192.0.2.1") for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 4 + [429] and int(answers[-1].headers["Retry-After"]) > 1
    assert ask("192.0.2.2").status == 200
    # All of a network that one customer gets count as one; what a client makes up before the proxy's word counts for nothing.
    assert [ask(f"2001:db8::{number}").status for number in range(5)] == [200] * 4 + [429]
    assert ask("198.51.100.9, 192.0.2.1").status == 429 and ask("2001:db8:0:1::1").status == 200


def test_a_token_may_hold_so_many_streams_and_requests_at_once(make_daemon, tmp_path):
    daemon = make_guarded(make_daemon, tmp_path, "rate_limits: {streams: 2}\n")
    own, token = f"Bearer {daemon.token}", make_token(daemon, "a", "submit")
    daemon.token = None
    held = daemon.submit({"name": "held", "jobs": {"a": HELD}}, Authorization=own).json["id"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(daemon.get, f"/v1/experiments/{held}?wait=30", Authorization=f"Bearer {token}") for _ in range(3)]
        done, _ = concurrent.futures.wait(waits, return_when=concurrent.futures.FIRST_COMPLETED)
        assert [future.result().status for future in done] == [429]
        assert daemon.post(f"/v1/experiments/{held}/cancel", Authorization=own).status == 200
        assert sorted(future.result().status for future in waits) == [200, 200, 429]
