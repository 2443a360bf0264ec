"""The daemon behind a real nginx, with the file of `deploy/`; and what it believes of forwarded addresses."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import urllib.request

import pytest
from conftest import ROOT, shell, wait_until
from test_access import JSON, make_guarded, make_token, sent

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
NAME = "anneal.example.org"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """A real nginx in a folder of its own, on the site of `deploy/` with other ports and a certificate made for the test."""

    def __init__(self, folder, daemon_port):
        self.folder, self.port = folder, free_port()
        subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        subprocess.run([*command, *subject], check=True, capture_output=True)
        site = (ROOT / "deploy" / "nginx" / "anneal.conf").read_text()
        site = re.sub(r"(ssl_certificate) \S+;", rf"\1 {folder}/cert.pem;", site)
        site = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {folder}/key.pem;", site)
        site = re.sub(r"listen \[::\]:\d+( ssl)?;", "", site)
        site = site.replace("listen 80;", f"listen 127.0.0.1:{free_port()};").replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        site = site.replace("127.0.0.1:7600", f"127.0.0.1:{daemon_port}")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log {folder}/access.log; {paths}\n{site}\n}}\n"
        )
        self.flags = ["-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
        subprocess.run([NGINX, *self.flags, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen([NGINX, *self.flags])
        wait_until(self.is_up, "nginx")

    def is_up(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def open(self, path, token=None, method="GET", body=None, **headers):
        """The open answer to a request by the name of the site."""
        context = ssl.create_default_context(cafile=self.folder / "cert.pem")
        context.check_hostname = False
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data=body, method=method)
        for name, value in {"Host": NAME, **({"Authorization": f"Bearer {token}"} if token else {}), **headers}.items():
            request.add_header(name, value)
        return urllib.request.urlopen(request, timeout=60, context=context)

    def status(self, *arguments, **more):
        try:
            with self.open(*arguments, **more) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def site(make_daemon, tmp_path):
    """A daemon and an nginx before it."""
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("nginx and openssl are not installed")
    daemon = make_guarded(make_daemon, tmp_path, f"hosts: [{NAME}]\nproxies: [127.0.0.1]\n")
    folder = tmp_path / "nginx"
    folder.mkdir(mode=0o755)
    nginx = Nginx(folder, int(daemon.url.rsplit(":", 1)[1]))
    yield daemon, nginx
    nginx.stop()


def test_nginx_passes_requests_streams_and_uploads_on(site):
    daemon, nginx = site
    token = make_token(daemon, "a", "submit")
    assert nginx.status("/v1/jobs") == 401 and nginx.status("/v1/jobs", token) == 200
    assert nginx.status("/v1/jobs", token, Host="evil.example") == 421
    assert nginx.status("/v1/jobs", token, Origin="https://evil.example") == 403
    assert nginx.status("/v1/jobs", token, Origin=f"https://{NAME}") == 200
    # An event comes while the stream is open: nothing holds it back.
    with nginx.open("/v1/stream", token, Accept="application/x-ndjson") as stream:
        answer = daemon.submit({"name": "t", "jobs": {"a": shell("true")}})
        assert b'"type":"state"' in stream.readline() and answer.status == 201
    # More than nginx takes by itself, which is 1 MiB.
    rows = b'{"input": "' + b"x" * 1000 + b'", "output": "y"}\n'
    assert nginx.status("/v1/datasets?name=large", token, method="POST", body=rows * 3000, **{"Content-Type": "application/x-ndjson"}) == 201


def test_an_address_is_believed_from_a_proxy_alone(site):
    daemon, nginx = site
    token = make_token(daemon, "a", "admin")
    # What the client makes up is replaced by nginx, with the address that it saw.
    nginx.status("/v1/projects/one", token, method="PATCH", body=b'{"weight": 1}', **JSON, **{"X-Forwarded-For": "6.6.6.6"})
    # From the address of the proxy itself, the last that is no proxy counts.
    sent(daemon, token, "PATCH", "/v1/projects/two", b'{"weight": 1}', **JSON, **{"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 127.0.0.1"})
    log = lambda: {one["path"]: one["address"] for one in daemon.get("/v1/audit?operation=updateProject").json["data"]}
    found = wait_until(lambda: len(log()) == 2 and log(), "two records")
    assert found == {"/v1/projects/one": "127.0.0.1", "/v1/projects/two": "192.0.2.7"}


def test_without_proxies_a_forwarded_address_is_a_mere_word(make_daemon, tmp_path):
    daemon = make_guarded(make_daemon, tmp_path, "")
    daemon.request("PATCH", "/v1/projects/p", b'{"weight": 1}', {**JSON, "X-Forwarded-For": "192.0.2.7"})
    found = wait_until(lambda: daemon.get("/v1/audit?operation=updateProject").json["data"], "the record")
    assert found[0]["address"] == "127.0.0.1"


def test_with_proxies_nobody_on_tcp_goes_without_a_token(make_daemon, tmp_path):
    (tmp_path / "anneal.yaml").write_text("proxies: [127.0.0.1]\n")
    daemon = make_daemon("--gpus", "none", "--config", str(tmp_path / "anneal.yaml")).start()
    assert daemon.get("/v1/jobs").status == 401
    daemon.token = (daemon.folder / "token").read_text().strip()
    assert daemon.get("/v1/jobs").status == 200


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1", 200), ("127.0.0.1:7600", 200), ("LOCALHOST", 200), ("localhost.", 200), ("[::1]:7600", 200), ("[0:0:0:0:0:0:0:1]", 200),
        ("[::ffff:127.0.0.1]", 200), ("localhost:", 200), ("", 421), ("localhost..", 421), ("localhost.evil.example", 421), ("evil.example", 421),
        ("127.0.0.1.nip.example", 421), ("127.1", 421), ("2130706433", 421), ("0x7f.0.0.1", 421), ("127.0.0.1:7600:80", 421), ("127.0.0.1:x", 421),
        ("127.0.0.1:99999", 421), ("[::1", 421), ("[::1]x", 421), ("[::2]", 421), ("[fe80::1%25lo]", 421), ("0.0.0.0", 421), ("169.254.169.254", 421),
    ],
)
def test_a_host_that_is_not_ours_is_refused_in_every_spelling(shared_daemon, host, status):
    assert raw(shared_daemon, f"GET /v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == status


@pytest.mark.parametrize(
    "origin, status",
    [
        ("http://localhost:7600", 200), ("HTTP://localhost:7600", 403), ("http://LOCALHOST:7600", 200), ("http://localhost", 403), ("http://localhost:76", 403),
        ("http://localhost:7600@evil.example", 403), ("http://evil.example#localhost:7600", 403), ("http://localhost:7600.evil.example", 403),
        ("null", 403), ("file://", 403), ("", 403), ("https://localhost:7600/x", 403), ("http://[::1]:7600", 403), ("ftp://localhost:7600", 403),
        ("http://localhost.:7600", 200),
    ],
)
def test_a_page_of_another_origin_is_refused_in_every_spelling(shared_daemon, origin, status):
    assert raw(shared_daemon, f"GET /v1/jobs HTTP/1.1\r\nHost: localhost:7600\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n") == status


def test_an_absolute_target_is_served_under_its_own_name_alone(shared_daemon):
    ask = lambda target, host, version="1.1": raw(shared_daemon, f"GET {target} HTTP/{version}\r\n{host}Connection: close\r\n\r\n")
    assert ask("http://localhost/v1/jobs", "Host: localhost\r\n") == 200
    assert ask("http://evil.example/v1/jobs", "Host: evil.example\r\n") == 421
    assert ask("http://evil.example/v1/jobs", "Host: localhost\r\n") == 400
    assert ask("http://localhost/v1/jobs", "Host: evil.example\r\n") == 400
    assert ask("http://evil.example/v1/jobs", "", "1.0") == 421 and ask("http://localhost/v1/jobs", "", "1.0") == 200
    assert ask("http://x@localhost/v1/jobs", "", "1.0") == 421
    assert ask("/v1/jobs", "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n") == 403


def raw(daemon, request):
    """The status of the answer to a request as it stands."""
    with socket.create_connection(("127.0.0.1", int(daemon.url.rsplit(":", 1)[1]))) as client:
        client.sendall(request.encode())
        return int(client.recv(65536).split(b" ", 2)[1])
