"""`edgekit schema`: a schema of every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import click
import jsonschema
import pytest

from edgekit.cli.schema import schema
from tests.conftest import Invoke

(ARGUMENT,) = schema.params
assert isinstance(ARGUMENT.type, click.Choice)


@pytest.mark.parametrize("name", ARGUMENT.type.choices)
def test_every_schema_is_one(invoke: Invoke, name: str) -> None:
    result = invoke("schema", name)
    assert result.exit_code == 0, result.output
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))


@pytest.mark.parametrize("name", ["manifest", "parity"])
def test_what_export_writes_keeps_to_the_printed_schema(invoke: Invoke, published: Path, name: str) -> None:
    printed = json.loads(invoke("schema", name).stdout)
    for folder in published.iterdir():
        jsonschema.validate(json.loads((folder / f"{name}.json").read_text()), printed)
