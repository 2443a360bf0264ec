"""Webhooks: signed as Standard Webhooks has it, sent until they arrive, over failures and the daemon's death, and not to everybody."""

import base64
import hashlib
import hmac
import http.server
import json
import threading

import pytest

from conftest import shell, wait_until


class Receiver:
    """A real receiver on this machine. It answers with the statuses of `answers`, one after another, then with 204."""

    def __init__(self):
        self.messages, self.answers = [], []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Keeps what comes."""

            def do_POST(self):
                """One message."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 204
                receiver.messages.append((dict(self.headers.items()), body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Says nothing."""

        self.handler = Handler
        self.open(0)

    def open(self, port):
        """Listens."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self.handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        """Ends the server."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def kinds(self, status=204):
        """The types of the messages that were answered with `status`."""
        return [json.loads(body)["type"] for _, body, answered in self.messages if answered == status]


@pytest.fixture
def receiver():
    """A receiver that is closed at the end."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def machine(make_daemon, tmp_path):
    """A daemon that may send to addresses of this machine."""
    config = tmp_path / "config.yaml"
    config.write_text("webhooks_to_private_addresses: true\n")
    return make_daemon("--gpus", "none", "--cpus", "2", "--config", str(config)).start()


def hook(daemon, url, **more):
    """Makes a webhook."""
    answer = daemon.post("/v1/webhooks", json.dumps({"url": url, **more}).encode(), **{"Content-Type": "application/json"})
    assert answer.status == 201, answer.body
    return answer.json


def deliveries(daemon, webhook):
    """What was sent to a webhook, the oldest first."""
    return daemon.get(f"/v1/webhooks/{webhook['id']}/deliveries").json["data"][::-1]


def is_signed(headers, body, secret):
    """Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over identifier, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    code = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(code, headers["webhook-signature"])


def test_what_happens_is_sent_and_signed(machine, receiver):
    made = hook(machine, receiver.url, types=["job.*", "experiment.succeeded", "alert"])
    spec = {"name": "t", "jobs": {"a": shell('echo \'{"step": 1, "x": 1}\' >> $ANNEAL_METRICS', alerts=[{"when": "x > 0"}])}}
    ended = machine.run(spec)
    wait_until(lambda: "experiment.succeeded" in receiver.kinds() and "alert" in receiver.kinds(), "the messages")
    states = ["waiting", "queued", "starting", "running", "succeeded"]
    wait_until(lambda: len(receiver.messages) == len(states) + 2, "all of them")
    assert sorted(receiver.kinds()) == sorted([f"job.{state}" for state in states] + ["experiment.succeeded", "alert"])
    for headers, body, _ in receiver.messages:
        headers = {name.lower(): value for name, value in headers.items()}
        message = json.loads(body)
        assert is_signed(headers, body, made["secret"]) and headers["content-type"] == "application/json"
        assert message["data"]["experiment_id"] == ended["id"] and message["timestamp"].endswith("Z")
    identifiers = [headers["webhook-id"] for headers, _, _ in receiver.messages]
    assert len(set(identifiers)) == len(identifiers)
    wait_until(lambda: {delivery["state"] for delivery in deliveries(machine, made)} == {"delivered"}, "the note of them")
    # The secret is shown once.
    listed = machine.get("/v1/webhooks").json["data"]
    assert [(one["id"], one["secret"]) for one in listed] == [(made["id"], None)]


def test_a_message_is_sent_again_after_failures_and_a_restart(machine, receiver):
    """The outbox outlives the daemon: a message that failed before the kill arrives after it, under the same identifier."""
    receiver.answers = [500]
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    made = hook(machine, receiver.url, types=["job.succeeded"], secret=secret)
    machine.run({"name": "t", "jobs": {"a": shell("true")}})
    wait_until(lambda: deliveries(machine, made)[0]["tries"] == 1, "the failure")
    (waiting,) = deliveries(machine, made)
    assert (waiting["state"], waiting["status"]) == ("waiting", 500) and "500" in waiting["message"] and waiting["next_at"]
    machine.restart()
    wait_until(lambda: receiver.kinds() == ["job.succeeded"], "the message")
    (first, body, _), (second, again, _) = receiver.messages
    assert first["webhook-id"] == second["webhook-id"] == waiting["id"] and body == again
    assert is_signed(first, body, secret) and is_signed(second, again, secret)
    wait_until(lambda: deliveries(machine, made)[0]["state"] == "delivered", "the note of it")
    assert deliveries(machine, made)[0]["tries"] == 2


def test_a_message_for_a_dead_receiver_waits_and_is_sent_at_once_when_asked_for(machine, receiver):
    made = hook(machine, receiver.url, types=["job.succeeded"])
    receiver.close()
    machine.run({"name": "t", "jobs": {"a": shell("true")}})
    (waiting,) = wait_until(lambda: [one for one in deliveries(machine, made) if one["tries"] == 1], "the failure")
    assert (waiting["state"], waiting["status"]) == ("waiting", None) and waiting["message"]
    receiver.open(receiver.server.server_port)
    assert machine.post(f"/v1/webhooks/{made['id']}/deliveries/{waiting['id']}/replay").status == 204
    wait_until(lambda: receiver.kinds() == ["job.succeeded"], "the message")


def test_a_message_is_replayed_and_a_ping_sent(machine, receiver):
    made = hook(machine, receiver.url, types=["job.succeeded"])
    machine.run({"name": "t", "jobs": {"a": shell("true")}})
    wait_until(lambda: receiver.kinds() == ["job.succeeded"], "the message")
    (delivered,) = wait_until(lambda: [one for one in deliveries(machine, made) if one["state"] == "delivered"], "the note of it")
    assert machine.post(f"/v1/webhooks/{made['id']}/deliveries/{delivered['id']}/replay").status == 204
    wait_until(lambda: receiver.kinds() == ["job.succeeded"] * 2, "the message once more")
    assert {headers["webhook-id"] for headers, _, _ in receiver.messages} == {delivered["id"]}
    assert machine.post(f"/v1/webhooks/{made['id']}/deliveries/none/replay").status == 404
    assert machine.get("/v1/webhooks/hook_none/deliveries").status == 404
    # A ping is sent whatever the webhook listens to.
    assert machine.post(f"/v1/webhooks/{made['id']}/ping").status == 204
    wait_until(lambda: "ping" in receiver.kinds(), "the ping")
    assert machine.request("DELETE", f"/v1/webhooks/{made['id']}").status == 204
    assert machine.post(f"/v1/webhooks/{made['id']}/ping").status == 404 and machine.get("/v1/webhooks").json["data"] == []


def test_a_receiver_that_has_gone_for_good_is_not_asked_again(machine, receiver):
    receiver.answers = [410]
    made = hook(machine, receiver.url, types=["job.succeeded"])
    machine.run({"name": "t", "jobs": {"a": shell("true")}})
    (failed,) = wait_until(lambda: [one for one in deliveries(machine, made) if one["state"] == "failed"], "the end of it")
    assert (failed["tries"], failed["status"], failed["next_at"]) == (1, 410, None)


def test_a_webhook_of_a_project_hears_of_that_project_only(machine, receiver):
    hook(machine, receiver.url, types=["experiment.succeeded"], project="mine")
    for project in ("other", "mine"):
        machine.run({"name": project, "project": project, "jobs": {"a": shell("true")}})
    hook(machine, receiver.url, types=["experiment.cancelled"])
    wait_until(lambda: receiver.kinds() == ["experiment.succeeded"], "the message")
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])
def test_addresses_of_this_machine_are_refused_unless_allowed(shared_daemon, receiver, host):
    port = receiver.server.server_port
    made = hook(shared_daemon, f"http://{host}:{port}/hook", types=["ping"])
    assert shared_daemon.post(f"/v1/webhooks/{made['id']}/ping").status == 204
    (failed,) = wait_until(lambda: [one for one in deliveries(shared_daemon, made) if one["tries"] == 1], "the failure")
    assert failed["state"] == "waiting" and failed["status"] is None and failed["message"]
    assert receiver.messages == []
    assert shared_daemon.request("DELETE", f"/v1/webhooks/{made['id']}").status == 204


def test_webhooks_that_make_no_sense_are_refused(shared_daemon):
    url = "https://hooks.example/x"
    for body in (
        {}, {"url": 7}, {"url": "ftp://x"}, {"url": "http://a b"}, {"url": url, "types": []}, {"url": url, "types": "alert"}, {"url": url, "secret": "short"},
        {"url": url, "secret": "whsec_" + base64.b64encode(b"x" * 23).decode()}, {"url": url, "more": 1}, [],
    ):
        answer = shared_daemon.post("/v1/webhooks", json.dumps(body).encode(), **{"Content-Type": "application/json"})
        assert answer.status in (400, 422) and answer.json["detail"], body
    assert shared_daemon.get("/v1/webhooks").json["data"] == []
