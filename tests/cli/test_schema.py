"""`edgekit schema`: a schema of every kind of file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
import jsonschema
import pytest

from edgekit.cli.schema import schema
from edgekit.experiment.plan import ExperimentPlanRequest, plan_experiment
from tests.conftest import Invoke
from tests.evaluation.generative.test_page import REPORT
from tests.report.all_pages import analysis, canary, comparison, compatibility, drift, retrieval

(ARGUMENT,) = schema.params
assert isinstance(ARGUMENT.type, click.Choice)

REPORTS = {
    "comparison": comparison("b0", ["throttled"]),
    "compatibility": compatibility(unchanged=-0.9, adapter=0.0),
    "drift": drift("shoes"),
    "generative": REPORT,
    "retrieval": retrieval("b0"),
}
RESULTS = {
    "experiment-analyze": dataclasses.asdict(analysis("b")),
    "experiment-canary": dataclasses.asdict(canary("wait")),
    "experiment-plan": dataclasses.asdict(plan_experiment(ExperimentPlanRequest(baseline=0.1, relative=0.05))),
}


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


@pytest.mark.parametrize("name", REPORTS)
def test_what_is_judged_keeps_to_the_printed_schema_and_nothing_else_does(invoke: Invoke, name: str) -> None:
    printed = json.loads(invoke("schema", name).stdout)
    document = json.loads(REPORTS[name].to_json())
    jsonschema.validate(document, printed)
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(document | {"more": 1}, printed)


@pytest.mark.parametrize("name", RESULTS)
def test_what_experiments_print_keeps_to_the_printed_schema(invoke: Invoke, name: str) -> None:
    printed = json.loads(invoke("schema", name).stdout)
    document = json.loads(json.dumps(RESULTS[name], default=str))
    jsonschema.validate(document, printed)
    del document[next(iter(document))]
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate(document, printed)
