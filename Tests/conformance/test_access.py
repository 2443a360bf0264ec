"""Each route's scope as the daemon's source declares it, and as the contract tells it."""

from __future__ import annotations

import re

import contract
from test_routes import FUNCTIONS, SOURCES, TABLES, plain

#: What each declared access is in the contract's `security`.
SCHEMES = {
    "open": [],
    "read": [{}, {"bearerAuth": ["read"]}],
    "log": [{}, {"bearerAuth": ["submit"]}, {"bearerAuth": ["attempt"]}],
    "submit": [{}, {"bearerAuth": ["submit"]}],
    "admin": [{}, {"bearerAuth": ["admin"]}],
}


def declared() -> dict[tuple[str, str], str]:
    """The access of every route in the source; a route that names none does not compile."""
    found = {}
    for name, (pattern, base) in TABLES.items():
        # The operation's name may stand between the path and the access.
        access = pattern + r'[^{\n]*?access: \.(\w+)' if name != "Tracking/TrackioRoutes.swift" else r'Route\(\s*\.(\w+), "(/[^"]+)", "\w+", access: \.(\w+)'
        for method, path, scope in re.findall(access, SOURCES.joinpath(name).read_text()):
            found[(method.upper(), plain(base + path))] = scope
    for function in FUNCTIONS.findall(SOURCES.joinpath("Tracking/TrackioRoutes.swift").read_text()):
        found[("POST", "/api/" + function)] = "log"
    return found


def test_every_route_declares_the_scope_that_the_contract_tells():
    access = declared()
    document = contract.load()
    told = {}
    for operation in contract.operations(document):
        told[(operation.method, plain(operation.path))] = document["paths"][operation.path][operation.method.lower()].get("security")
    assert set(access) == set(told)
    assert {route: SCHEMES[scope] for route, scope in access.items()} == told
