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
    """An operation that can be reached without these answers does not exist; foreign protocols tell theirs as one."""
    for operation in contract.operations(contract.load()):
        told = {"default"} if operation.is_foreign else {"400", "403", "421", "500"}
        assert told <= operation.statuses, operation.id


def test_every_problem_has_the_media_type_of_problems():
    for name, response in contract.load()["components"]["responses"].items():
        content = response["content"]
        if "application/json" in content:
            continue
        assert list(content) == ["application/problem+json"], name
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}, name


def examples(node, document: dict, place: str = "#"):
    """Each example of a media type, parameter or schema with the schema that it is for, and where it stands."""
    if isinstance(node, dict):
        schema = node.get("schema")
        if isinstance(schema, dict):
            found = [("example", node["example"])] if "example" in node else []
            for name, example in node.get("examples", {}).items():
                if "$ref" in example:
                    example = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
                found.append((name, example["value"]))
            yield from ((f"{place}/{name}", schema, value) for name, value in found)
        elif "example" in node and ("type" in node or "$ref" in node or "oneOf" in node):
            yield f"{place}/example", {key: value for key, value in node.items() if key != "example"}, node["example"]
        for key, value in node.items():
            yield from examples(value, document, f"{place}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from examples(value, document, f"{place}/{index}")


def test_examples_follow_their_schemas():
    validator = pytest.importorskip("jsonschema_rs", reason="jsonschema_rs is not installed")
    document = contract.load()
    faults = []
    for place, schema, value in examples(document, document):
        judge = validator.Draft202012Validator({**schema, "components": document["components"]})
        faults += [f"{place}: {error.message[:200]}" for error in judge.iter_errors(value)]
    assert not faults


EXAMPLES = sorted(contract.PATH.parent.joinpath("deploy", "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_specs_follow_the_contract(path):
    validator = pytest.importorskip("jsonschema_rs", reason="jsonschema_rs is not installed")
    document = contract.load()
    schema = {"$ref": "#/components/schemas/Spec", "components": document["components"]}
    errors = [f"{list(error.instance_path)}: {error.message}" for error in validator.Draft202012Validator(schema).iter_errors(spec(path))]
    assert not errors


def spec(path: pathlib.Path) -> dict:
    """A spec as YAML 1.2 reads it, with the values of its `vars` and of one cell of each matrix: there `3e-6` is a number and `on` is a text, unlike in YAML 1.1."""

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool")]
            for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true$|false$"), list("tf"))
    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789."))
    document = yaml.load(path.read_text(), Loader)
    named = {f"vars.{name}": value for name, value in document.get("vars", {}).items()}
    for job in document["jobs"].values():
        choices = job.get("matrix", {})
        # One cell of the matrix stands for all.
        cell = {f"matrix.{name}": values[0] for name, values in choices.items() if isinstance(values, list)}
        job.update(filled({key: value for key, value in job.items() if key != "matrix"}, cell))
    return {key: filled(value, named) for key, value in document.items()}


def filled(value, variables: dict):
    """A value of a spec with those of variables in the place of `${name}`; names that are none of theirs stay."""
    if isinstance(value, dict):
        return {key: filled(member, variables) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(member, variables) for member in value]
    whole = re.fullmatch(r"\$\{((?:vars|matrix)\.\w+)\}", value) if isinstance(value, str) else None
    return variables.get(whole[1], value) if whole else value
