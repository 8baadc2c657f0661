"""Compare end to end, from exports that are there and results that were measured; and what cannot be exported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import edgekit
from edgekit.artifact.folder import read_manifest, write_manifest
from edgekit.bench import schema as s
from edgekit.bench.results.store import save
from edgekit.bench.results.validity import judge, summarize
from edgekit.errors import InputError, UsageError
from edgekit.evaluation import candidates, compare
from edgekit.evaluation.compare_report import CompareReport, Row
from edgekit.evaluation.compare_table import table_of
from edgekit.evaluation.variants import is_seeded
from edgekit.pipeline import ExportResult
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.files import sha256_tree

TOWER = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})


def result(path: Path, median: float, runner: Any = "host", **changes: Any) -> s.Result:
    """What was measured of an artifact: every sample takes `median` ms."""
    made = s.Result(
        run_id=f"{int(median * 1000):032x}",
        started_utc="2026-01-02T03:04:05Z",
        tool=s.Tool(edgekit="0", runner=runner),
        model=s.Model(name="tower", format="onnx", sha256=sha256_tree(path), bytes=1, input=(64, 64)),
        runtime=s.Runtime(name="onnxruntime", threads=1),
        device=s.Device(platform="linux", soc="AMD EPYC"),
        protocol=s.Protocol(warmup=1, min_iterations=100, min_duration_s=0, iterations=100, inputs=8),
        latency_ms=summarize(s.Latency(samples=(median,) * 100)),
        memory_bytes=s.Memory(peak_rss=80_000_000),
        check=s.Check(images=8, min_cosine=1.0, max_abs=0.0, passed=True),
        validity=s.Validity(valid=False),
    )
    return judge(made.model_copy(update=changes))


@pytest.fixture
def out(published: Path, tmp_path: Path) -> Path:
    """A folder with the toy tower's exports, and results of the two that can be timed here."""
    out = tmp_path / "compared"
    shutil.copytree(published, out)
    for suffix, median in ((".onnx", 4.0), (".pte", 8.0)):
        (path,) = out.glob(f"*/*{suffix}")
        save([result(path, median)], tmp_path / "measured")
    return out


@pytest.fixture
def compared(out: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CompareReport]:
    """Compare the tower, which no export may make anew."""

    def refuse(*_: object) -> ExportResult:
        raise AssertionError("everything is there already")

    def run(**asked: Any) -> CompareReport:
        given = {"models": TOWER, "targets": "all", "out": out, "data": "catalog:40", "resamples": 99, "workers": 1}
        return compare.compare(compare.CompareRequest(**{**given, "results": out.parent / "measured", **asked}))

    monkeypatch.setattr(candidates, "export", refuse)
    return run


def by_format(report: CompareReport) -> dict[str, Row]:
    return {row.format: row for row in report.rows}


def test_what_is_there_is_judged_priced_and_chosen(compared: Callable[..., CompareReport], out: Path) -> None:
    report = compared(
        where="latency_ms < 10 and size_mb < 8",
        traffic="1/second",
        gallery=1000,
        installs=10,
        tasks=("similar", "visual-search"),
    )
    rows = by_format(report)
    assert list(rows) == ["coreml", "executorch", "onnx"]
    assert all(row.error is None for row in report.rows)
    assert rows["onnx"].value("latency_ms") == 4.0
    assert rows["onnx"].value("images_per_second") == 250.0
    assert rows["onnx"].value("memory_mb") == 80.0
    assert rows["onnx"].value("core_hours_per_million") == pytest.approx(1e6 / 250 / 3600)
    assert rows["onnx"].value("instances") == 1
    assert "measured on the host AMD EPYC, 1 thread" in rows["onnx"].figures["latency_ms"].how
    assert rows["onnx"].value("size_mb") == next(out.glob("*/*.onnx")).stat().st_size / 1e6
    # The reference runtime is not timed: no latency, no cost of computing, no place on the front.
    core_ml = rows["coreml"]
    assert core_ml.reference
    assert {"latency_ms", "price_per_million"}.isdisjoint(core_ml.figures)
    assert "stand-in" in core_ml.missing["latency_ms"]
    assert core_ml.front is None and core_ml.qualifies is None
    assert core_ml.value("price_installs") is not None
    assert report.answer.ship in (rows["onnx"].name, rows["executorch"].name)
    assert CompareReport.model_validate_json(report.to_json()) == report
    for row in report.rows:
        assert row.value("visual-search.ndcg@10") is not None
        assert all(value.how for value in row.figures.values())


def test_quality_is_that_of_the_other_commands(
    compared: Callable[..., CompareReport], out: Path, tmp_path: Path
) -> None:
    row = by_format(compared())["onnx"]
    (path,) = out.glob("*/*.onnx")
    own, original = tmp_path / "own.parquet", tmp_path / "original.parquet"
    for model, file in ((path, own), (TOWER, original)):
        edgekit.embed(edgekit.EmbedRequest(data="catalog:40", model=model, out=file, workers=1))
    wanted = edgekit.evaluate_retrieval(edgekit.RetrievalRequest(own, against=original, mixed=True, resamples=99))
    for arrangement, before in zip(wanted.arrangements, ("original.", "mixed.", ""), strict=True):
        for name, figure in arrangement.figures.items():
            value = row.figures[f"{before}{name}"]
            assert (value.value, value.low, value.high) == (figure.value, figure.low, figure.high)
    parity = read_manifest(path.parent).parity
    assert row.value("min_cosine") == parity.min_cosine
    assert f"worst of {parity.images} images" in row.figures["min_cosine"].how


def test_a_second_run_embeds_nothing_and_says_the_same(
    compared: Callable[..., CompareReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compared(targets="onnx")

    def refuse(*_: object) -> None:
        raise AssertionError("the photos are embedded already")

    monkeypatch.setattr("edgekit.evaluation.kept.embed", refuse)
    assert compared(targets="onnx").to_json() == first.to_json()


def test_a_device_counts_for_latency_and_a_host_for_costs(
    compared: Callable[..., CompareReport], out: Path, tmp_path: Path
) -> None:
    (path,) = out.glob("*/*.onnx")
    phone = s.Device(platform="android", model="Some phone", emulated=True)
    save([result(path, 40.0, "android-app", device=phone)], tmp_path / "measured")
    row = by_format(compared(targets="onnx"))["onnx"]
    assert row.value("latency_ms") == 40.0
    assert "emulated device Some phone" in row.figures["latency_ms"].how
    assert "not to be compared: emulated" in row.figures["latency_ms"].how
    assert row.value("images_per_second") == 250.0


def test_what_no_result_speaks_of_is_measured_here_and_kept(
    compared: Callable[..., CompareReport], out: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "measured")
    row = by_format(compared(targets="onnx", results=(), seconds=0))["onnx"]
    (kept,) = (out / "results").glob("*.bench.json")
    assert row.value("latency_ms") == s.read_result(kept).latency_ms.p50
    assert "measured on the host" in row.figures["latency_ms"].how
    assert compared(targets="onnx", results=(), seconds=0).rows[0].value("latency_ms") == row.value("latency_ms")


@pytest.mark.parametrize("change", ["precision", "toolchain", "weights", "verdict", "recipe", "file"])
def test_an_artifact_that_is_not_the_same_is_made_anew(
    change: str, out: Path, compared: Callable[..., CompareReport]
) -> None:
    (folder,) = out.glob("*-onnx-*")
    manifest = read_manifest(folder)
    changed: dict[str, Any] = {
        "precision": {"precision": "fp16"},
        "toolchain": {"toolchain": {**manifest.toolchain, "torch": "0.0"}},
        "weights": {"weights": manifest.weights.model_copy(update={"sha256": "0" * 64})},
        "verdict": {"parity": manifest.parity.model_copy(update={"verdict": "unverified"})},
        "recipe": {"recipe": {**manifest.recipe, "embedding": {"dim": 4}}},
        "file": {},
    }
    write_manifest(manifest.model_copy(update=changed[change]), folder)
    if change == "file":
        (folder / manifest.artifact).write_bytes(b"another")
    with pytest.raises(AssertionError, match="everything is there already"):
        compared(targets="onnx")


def test_what_cannot_be_exported_is_a_row_and_the_others_go_on(out: Path, tmp_path: Path) -> None:
    request = compare.CompareRequest(
        models=["tests.toys:branching", "tests.toys:raises", TOWER],
        targets="onnx",
        out=out,
        data="catalog:40",
        resamples=99,
        workers=1,
        results=tmp_path / "measured",
        where="latency_ms < 10",
    )
    report = compare.compare(request)
    branching, raises, tower = report.rows
    assert branching.error is not None
    assert raises.error is not None and "the configuration file is missing" in raises.error
    assert tower.error is None
    assert report.answer.ship == tower.name
    assert raises.qualifies is None and raises.front is None
    page = table_of(report)
    assert page.lines[0].cells[-1] == "not exported"
    assert any("the configuration file is missing" in note for note in page.errors)


def test_random_weights_are_cost_without_quality(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "seeded", "model": {"backbone": "mobilenetv4_conv_small"}})
    assert is_seeded(recipe)

    def nothing(recipe: Recipe, state: str, making: candidates.Making, _: object) -> list[candidates.Candidate]:
        return [candidates.Candidate(recipe, row, "fp32", making.out, error="left out") for row in making.targets]

    monkeypatch.setattr(compare, "candidates", nothing)
    monkeypatch.setattr(compare, "counted", lambda *_: candidates.Counted(7, 11, "0" * 64))
    report = compare.compare(compare.CompareRequest(models=recipe, out=tmp_path, data="catalog:4"))
    (row,) = report.rows
    assert row.missing == {"quality": "random weights: cost without quality"}
    assert (row.value("parameters"), row.value("macs")) == (7, 11)


def test_parameters_and_macs_are_those_of_the_table_of_backbones() -> None:
    from edgekit.recipe.backbones import table
    from edgekit.support.progress import Silent

    (known,) = [row for row in table() if row.name == "mobilenetv3_small_100"]
    found = candidates.counted(resolve_model("mobilenetv3_small_100"), Silent())
    assert found.macs == known.macs
    assert found.parameters <= known.params  # what belongs to batch normalization is folded


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"models": []}, "`models` is empty"),
        ({"models": "tests.toys:tower", "tasks": ("smilar",)}, "no 'smilar'; give some of similar"),
        ({"tasks": ()}, "`tasks` is empty"),
        ({"precisions": ("int3",)}, "`precisions` has no 'int3'; choose from default, fp32, fp16, int8"),
        ({"where": "latency < 10"}, "no figure is called 'latency'; did you mean latency_ms"),
        ({"where": "latency_ms < "}, "expected a number, found the end"),
        ({"best": "accuracy"}, "`best`: no figure is called 'accuracy'"),
        (
            {"plans": {"catalog-b0": "plan.json"}},
            "`plans`: no model is called 'catalog-b0'; there are tests.toys-tower",
        ),
        ({"traffic": "many"}, "`traffic` is 'many'; give a number, as in 100000/day"),
        ({"traffic": "5/week"}, "`traffic` is '5/week'"),
        ({"gallery": 0}, "`gallery` is 0"),
        ({"seconds": -1.0}, "`seconds` is -1.0"),
    ],
)
def test_a_request_that_cannot_be_meant_is_one_line(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare.CompareRequest(**{"models": TOWER, **asked})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"instance": "m9.huge"}, UsageError, "the price table has no instance 'm9.huge'"),
        ({"prices": "none.toml"}, InputError, "cannot read the price table"),
        ({"data": "no-such-folder"}, InputError, "no-such-folder: does not exist"),
        ({"results": "no-such-folder"}, InputError, "no-such-folder"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_exported(
    asked: dict[str, Any], kind: type[Exception], words: str, compared: Callable[..., CompareReport]
) -> None:
    with pytest.raises(kind, match=words):
        compared(**asked)


def test_data_without_what_a_task_needs_are_refused_before_anything_is_exported(
    tmp_path: Path, compared: Callable[..., CompareReport]
) -> None:
    (tmp_path / "hats").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (32, 32)).save(tmp_path / "hats" / f"{name}.png")
    with pytest.raises(UsageError, match="has no column fine_category, which the task ads needs"):
        compared(tasks=("ads",), data=str(tmp_path))


def test_traffic_may_be_given_by_the_day_the_hour_or_the_second() -> None:
    asked = {"100000": 1e5, "100000/day": 1e5, "100/hour": 2400.0, "0.5/second": 43200.0}
    for text, a_day in asked.items():
        assert compare.CompareRequest(models=TOWER, traffic=text).traffic == a_day
