"""The contract and the daemon's routes, held to each other both ways."""

from __future__ import annotations

import http.client
import pathlib
import re

import contract

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "Sources" / "HTTPAPI"
#: How each file of routes writes one down, and the path before it.
TABLES = {
    "RouteTable.swift": (r'Route\(\s*\.(\w+), "([^"]+)"', ""),
    "Tracking/MLflowRoutes.swift": (r'\broute\(\.(\w+), "([^"]+)"', "/api/2.0/mlflow/"),
    "Tracking/MLflowArtifacts.swift": (r'Route\(\.(\w+), base(?: \+ "([^"]+)")?', "/api/2.0/mlflow-artifacts/artifacts"),
    "Tracking/TrackioRoutes.swift": (r'Route\(\.(\w+), "(/[^"]+)", "', ""),
}
#: trackio's functions, which are all called by POST.
FUNCTIONS = re.compile(r'\broute\("(\w+)"')
#: Routes that the contract does not name, each with its reason: none.
UNDOCUMENTED: dict[tuple[str, str], str] = {}


def routes() -> set[tuple[str, str]]:
    """Method and path of every route in the source; the names of parameters are left out."""
    found = set()
    for name, (pattern, base) in TABLES.items():
        table = set(re.findall(pattern, SOURCES.joinpath(name).read_text()))
        assert table, f"{name} has no routes that are written as this test expects"
        found |= {(method.upper(), base + path) for method, path in table}
    functions = FUNCTIONS.findall(SOURCES.joinpath("Tracking/TrackioRoutes.swift").read_text())
    assert functions
    return {(method, plain(path)) for method, path in found | {("POST", "/api/" + function) for function in functions}}


def plain(path: str) -> str:
    """A path without the names of its parameters. The parameter of many segments stands for what the contract takes apart."""
    return re.sub(r"\{[^}]*\}", "{}", path.replace("{path+}", "{}/{}/artifacts/{}"))


def test_every_route_is_in_the_contract_and_nothing_else():
    documented = {(operation.method, plain(operation.path)) for operation in contract.operations(contract.load())}
    assert routes() - documented == set(UNDOCUMENTED)
    assert documented - routes() == set()


def test_every_route_of_a_table_is_found():
    """A route that is written in a way which the patterns above do not know would go unnoticed."""
    for path in SOURCES.rglob("*.swift"):
        name = path.relative_to(SOURCES).as_posix()
        if name in TABLES or name == "Route.swift":
            continue
        assert not re.search(r"\bRoute\(\s*\.\w+, ", path.read_text()), f"{name} makes routes; name it in TABLES"


def test_the_daemon_allows_the_methods_of_the_contract(daemon):
    """Each path of the contract tells its methods in `Allow` when it is asked in another one."""
    methods: dict[str, set[str]] = {}
    for operation in contract.operations(contract.load()):
        # MLflow's clients expect their own error, without that field.
        if not operation.path.startswith("/api/2.0/mlflow"):
            methods.setdefault(operation.path, set()).add(operation.method)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    for path, known in methods.items():
        connection.request("OPTIONS", re.sub(r"\{[^}]*\}", "x", path))
        answer = connection.getresponse()
        answer.read()
        allowed = set(answer.headers["Allow"].split(", "))
        assert (answer.status, allowed) == (405, known | ({"HEAD"} if "GET" in known else set())), path
    connection.close()
