"""`edgekit bench --on ios`, whole, with stand-ins for the programs that reach iPhones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import jsonschema
import pytest

from edgekit.bench.schema import Result, read_result
from tests.bench.drivers.ios.tools.cases import world as world
from tests.bench.drivers.ios.tools.world import World, products

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def package(published: Path) -> Path:
    (found,) = published.glob("*/*.mlpackage")
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return products(tmp_path / "Products")


def test_a_package_is_measured_with_two_settings(
    world: World, package: Path, app: Path, tmp_path: Path, invoke: Invoke
) -> None:
    phone = world.add()
    run = (
        "bench",
        package,
        "--on",
        "ios",
        "--app",
        app,
        "--iterations",
        20,
        "--duration",
        0,
        "--out",
        tmp_path / "out",
    )
    result = invoke(*run, "--compute-units", "all", "--compute-units", "cpuOnly", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    for document in told["results"]:
        jsonschema.Draft202012Validator(Result.model_json_schema()).validate(document)
    assert [one["runtime"]["backend"] for one in told["results"]] == ["all", "cpuOnly"]
    assert [one["compute_units"] for one in told["plans"]] == ["all", "cpuOnly"]
    found = [read_result(path) for path in sorted((tmp_path / "out").iterdir())]
    assert {one.model.name for one in found} == {package.stem}
    assert {one.model.precision for one in found} == {"fp16"}
    assert len({one.run_id for one in found}) == 2
    assert phone.udid not in result.stdout


def test_people_see_where_the_operators_run(world: World, package: Path, app: Path, invoke: Invoke) -> None:
    world.add()
    result = invoke("bench", package, "--on", "ios", "--app", app, "--iterations", 20, "--duration", 0, "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "neuralEngine" in result.stdout and "compute units" in result.stdout


def test_a_phone_that_fails_costs_the_others_nothing(world: World, package: Path, app: Path, invoke: Invoke) -> None:
    world.add()
    bad = world.add("lost-test")
    run = ("bench", package, "--on", "ios", "--app", app, "--iterations", 20, "--duration", 0, "--all-devices")
    result = invoke(*run, "--json")
    assert result.exit_code == 11
    assert bad.udid in result.stderr.splitlines()[-1]
    assert len(json.loads(result.stdout)["results"]) == 1


def test_what_is_missing_is_one_line(
    world: World, package: Path, app: Path, published: Path, tmp_path: Path, invoke: Invoke
) -> None:
    (other,) = published.glob("*/*.onnx")
    (tmp_path / "empty").mkdir()
    for arguments, code, said in (
        ((package, "--app", app, "--airplane", "--cooldown", 3), 2, "is for android: leave them out"),
        ((package, "--app", app, "--threads", 2), 2, "is for host, android and arm64: leave it out"),
        ((package,), 2, "needs"),
        ((package, "--app", app), 2, "no iPhone is connected"),
        ((package, "--app", app, "--runner", app), 2, "runner"),
        ((other, "--app", app), 2, "ios takes .mlpackage"),
    ):
        result = invoke("bench", *arguments, "--on", "ios", "--quiet")
        assert (result.exit_code, said in result.stderr) == (code, True), result.output
    world.add()
    nothing = invoke("bench", package, "--app", tmp_path / "empty", "--on", "ios", "--quiet")
    assert nothing.exit_code == 3 and "one is needed" in nothing.stderr
    world.add()
    several = invoke("bench", package, "--app", app, "--on", "ios", "--quiet")
    assert several.exit_code == 2 and "2 devices are connected" in several.stderr
    here = invoke("bench", other, "--compute-units", "all", "--quiet")
    assert here.exit_code == 2 and "is for android and ios: leave it out" in here.stderr
