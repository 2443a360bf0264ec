"""The contract by itself, and what the daemon serves as it."""

from __future__ import annotations

import pathlib
import re

import contract
import pytest
import yaml


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


EXAMPLES = sorted(contract.PATH.parent.joinpath("deploy", "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_specs_follow_the_contract(path):
    validator = pytest.importorskip("jsonschema_rs", reason="jsonschema_rs is not installed")
    document = contract.load()
    schema = {"$ref": "#/components/schemas/Spec", "components": document["components"]}
    errors = [f"{list(error.instance_path)}: {error.message}" for error in validator.Draft202012Validator(schema).iter_errors(spec(path))]
    assert not errors


def spec(path: pathlib.Path) -> dict:
    """A spec as YAML 1.2 reads it: there `3e-6` is a number, which YAML 1.1 takes for text."""

    class Loader(yaml.SafeLoader):
        pass

    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789."))
    return yaml.load(path.read_text(), Loader)
