"""The contract by itself, and what the daemon serves as it."""

from __future__ import annotations

import contract
import pytest


def test_the_contract_is_valid_openapi():
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    validator.validate(contract.load())


def test_the_daemon_serves_the_contract_byte_for_byte(daemon):
    status, served = daemon.call("GET", "/openapi.yaml")
    assert status == 200
    assert served == contract.PATH.read_bytes()


def test_operation_ids_are_unique():
    names = [operation.id for operation in contract.operations(contract.load())]
    assert len(names) == len(set(names))


def test_every_operation_tells_its_problems():
    """An operation that can be reached without these answers does not exist."""
    for operation in contract.operations(contract.load()):
        assert {"400", "403", "421", "500"} <= operation.statuses, operation.id


def test_every_problem_has_the_media_type_of_problems():
    for name, response in contract.load()["components"]["responses"].items():
        content = response["content"]
        if "application/json" in content:
            continue
        assert list(content) == ["application/problem+json"], name
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}, name
