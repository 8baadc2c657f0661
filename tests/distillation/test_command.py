"""`edgekit distill` as a person types it: options, exit codes, one line for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgekit.distillation import checkpoint
from edgekit.distillation.ablate import variants
from edgekit.errors import UsageError
from edgekit.recipe import load_recipe
from tests.conftest import one_line
from tests.distillation.test_run import command, write
from tests.waiting import PATIENCE, until


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


def test_print_recipe_shows_every_override_and_trains_nothing(invoke: Any, tmp_path: Path) -> None:
    path = write(tmp_path)
    result = invoke(
        "distill", path, "--print-recipe", "--teacher", "known.npy", "--data", "photos", "--data", "catalog:50",
        "--epochs", 3, "--batch", 32, "--freeze", "backbone.stem@0.25", "--set", "distill.losses.relational=4",
        "--set", "distill.sampling=uniform", "--seed", 9, "--dim", 24,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    shown = tomllib.loads(result.stdout)["distill"]
    assert shown["teachers"] == [{"embeddings": "known.npy"}]
    assert [data["name"] for data in shown["data"]] == ["photos", "catalog"]
    assert shown["data"][1]["catalog"]["listings"] == 50
    assert (shown["epochs"], shown["batch"], shown["seed"]) == (3.0, 32, 9)
    assert "photos" not in shown
    assert shown["freeze"] == [{"until": 0.25, "modules": ["backbone.stem"]}]
    assert shown["losses"]["relational"] == 4.0
    assert shown["sampling"] == "uniform"
    assert not (tmp_path / "distilled").exists()


def test_a_printed_recipe_is_the_same_run(invoke: Any, tmp_path: Path) -> None:
    path = write(tmp_path, more="views = 3")
    printed = tmp_path / "printed.toml"
    printed.write_text(invoke("distill", path, "--print-recipe").stdout)
    assert load_recipe(printed).distill == load_recipe(path).distill


def test_a_run_prints_figures_files_and_the_bottleneck(invoke: Any, tmp_path: Path, cache: Path) -> None:
    path, out = write(tmp_path), tmp_path / "out"
    result = invoke("distill", path, "--out", out, "--cache", cache, "--profile", "--quiet")
    assert result.exit_code == 0, result.output
    for word in ("seller-review", "retention", "kNN accuracy, color", "bottleneck", "forward", "student.safetensors"):
        assert word in result.stdout
    told = invoke("distill", path, "--out", out, "--cache", cache, "--resume", "--json")
    assert json.loads(told.stdout)["figures"]["retrieval"]["seller-review"]["gallery"] == 20


def test_the_student_goes_down_the_export_road(invoke: Any, tmp_path: Path, cache: Path) -> None:
    path, out = write(tmp_path, photos=640), tmp_path / "out"
    assert invoke("distill", path, "--out", out, "--cache", cache, "--quiet").exit_code == 0
    told = invoke(
        "export", out / "toy.toml", "--target", "onnx", "--samples", 24, "--out", tmp_path / "exported", "--quiet"
    )
    assert told.exit_code == 0, told.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--set", "distill.ratio=1"), 2, ("distill.ratio",)),
        (("--set", "distill.rate=fast"), 2, ("distill.rate",)),
        (("--set", "rate"), 2, ("KEY=VALUE",)),
        (("--set", "distill.data.buyer.weight=2"), 2, ("buyer",)),
        (("--teacher", "no_such_model"), 2, ("no_such_model",)),
        (("--teacher", "vit_tiny_patch16_224"), 2, ("random weights",)),
        (("--teacher", "missing.npy"), 3, ("missing.npy",)),
        (("--data", "nowhere"), 3, ("nowhere",)),
        (("--data", "nothing.csv"), 3, ("nothing.csv",)),
        (("--data", "shards-{0..3}.tar"), 3, ("shards-",)),
        (("--freeze", "backbone@soon"), 2, ("MODULES@SHARE",)),
        (("--freeze", "spine"), 2, ("spine",)),
        (("--set", "distill.batch=7"), 2, ("even",)),
        (("--set", "distill.photos=8", "--set", "distill.epochs=1"), 2, ("not both",)),
        (("--set", 'distill.losses={cosine=1.0}', "--set", "distill.matryoshka=[8]"), 2, ("matryoshka",)),
        (("--set", "distill.stages=[{until=0.5, size=32}]"), 2, ("last stage",)),
        (("--ablate", "colours"), 2, ("colours", "losses")),
        (("--ablate", "tasks"), 2, ("nothing of that kind to vary",)),
        (("--out", "/proc/nope"), 8, ("/proc/nope",)),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    invoke: Any, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, options: Any, code: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    more = () if "--out" in options else ("--out", tmp_path / "out")
    one_line(invoke("distill", path, "--cache", cache, "--quiet", *more, *options), code, *words)
    assert not (tmp_path / "out" / "student.safetensors").exists()


def test_an_empty_folder_and_one_without_listings_are_named(invoke: Any, tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "empty").mkdir()
    one_line(invoke("distill", path, "--cache", cache, "--data", tmp_path / "empty"), 3, "empty", "holds no image")
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.new("RGB", (40, 40), "red").save(flat / "one.png")
    one_line(
        invoke(
            "distill", path, "--cache", cache, "--quiet", "--out", tmp_path / "out",
            "--set", f'distill.validation.retrieval=[{{name="x", data={{name="flat", folder="{flat}"}}}}]',
        ),
        3, "no listing with two photos",
    )  # fmt: skip


def test_an_ablation_is_one_table_with_intervals(invoke: Any, tmp_path: Path, cache: Path) -> None:
    path, out = write(tmp_path, photos=64), tmp_path / "out"
    result = invoke("distill", path, "--out", out, "--cache", cache, "--ablate", "losses", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["variants"]
    assert [row["variant"] for row in rows] == [
        "base", "without cosine", "without relational", "without contrastive", "without labels",
    ]  # fmt: skip
    assert rows[0]["difference"] is None
    for row in rows[1:]:
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["difference"] == pytest.approx(row["mean_recall_1"] - rows[0]["mean_recall_1"])
    assert Image.open(out / "ablation.png").size[0] > 300
    shown = invoke("distill", path, "--out", out, "--cache", cache, "--ablate", "losses", "--resume", "--quiet")
    assert "95 % interval" in shown.stdout


def test_variants_differ_in_what_they_say(tmp_path: Path) -> None:
    path = write(tmp_path)
    extra = '[[distill.data]]\nname = "more"\ncatalog = { listings = 10, start = 100, photos = [0, 1] }\n'
    path.write_text(path.read_text().replace("[distill.validation]", extra + "[distill.validation]"))
    recipe = load_recipe(path)
    found = variants(recipe, ["sampling", "tasks"])
    assert list(found) == ["base", "sampling temperature", "sampling uniform", "only catalogue", "only more"]
    specs = [variant.distill for variant in found.values() if variant.distill is not None]
    assert [len(spec.data) for spec in specs] == [2, 2, 2, 1, 1]
    assert specs[-1].losses.labels == 0
    with pytest.raises(UsageError, match="colours"):
        variants(recipe, ["colours"])


def test_a_process_that_dies_stops_the_others_without_damage(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path, backbone="tests.toys:tokens", photos=200_000)
    path.write_text(path.read_text().replace("checkpoint_minutes = 60", "checkpoint_minutes = 0.001"))
    out = tmp_path / "out"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    run = subprocess.Popen(
        [*launcher, "-m", "edgekit", *command(path, out, cache, "--quiet")],
        env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    until((out / "checkpoint.safetensors").exists, run)
    children = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 2
    os.kill(int(children[1]), signal.SIGKILL)
    _, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    ours = [line for line in errors.splitlines() if line.startswith("error:")]
    assert all("--resume" in line for line in ours), errors
    assert checkpoint.load(out / "checkpoint.safetensors").facts["world"] == 2


def test_training_imports_no_export_runtime() -> None:
    heavy = ("coremltools", "executorch", "onnxruntime", "onnxscript", "torchao")
    names = "sys, edgekit.distillation.run, edgekit.distillation.ablate"
    code = f"import {names}; sys.exit(str([name for name in {heavy} if name in sys.modules]))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stderr.strip() == "[]"
