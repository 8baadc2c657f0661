"""Whole training runs, small: what a person types, what is on the disk afterwards, and what survives a kill."""

from __future__ import annotations

import importlib
import json
import random
import resource
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgekit.distillation import checkpoint
from edgekit.distillation.run import DistillRequest, distill
from edgekit.errors import EdgeKitError, InputError, OutputError, TrainingError, UsageError
from edgekit.model.embedder import build_embedder
from edgekit.recipe import Recipe, load_recipe
from edgekit.support.progress import Silent
from tests import warm
from tests.waiting import PATIENCE, until
from tests.warm import Warm

RECIPE = """
name = "toy"
[model]
backbone = "{backbone}"
[input]
size = 32
crop_pct = 1.0
[distill]
photos = {photos}
batch = 8
rate = 0.003
ema = 0.9
seed = 5
workers = 0
checkpoint_minutes = 60
{more}
[distill.losses]
cosine = 1.0
relational = 1.0
contrastive = 0.1
labels = 0.1
[[distill.teachers]]
model = "teacher.toml"
[[distill.data]]
name = "catalogue"
catalog = {{ listings = 40, photos = [0, 1] }}
labels = {{ color = "color" }}
[distill.validation]
every = 0.5
sample = 10
[[distill.validation.retrieval]]
name = "seller-review"
data = {{ name = "unseen", catalog = {{ listings = 20, split = "test" }}, labels = {{ color = "color" }} }}
"""
TEACHER = """
[model]
backbone = "tests.toys:other_tower"
[input]
size = 64
crop_pct = 1.0
[metadata]
license = "MIT"
"""


class Lines:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, title: str) -> Any:
        return Silent().stage(title)

    def board(self, title: str) -> Any:
        return Silent().board(title)

    def note(self, line: str) -> None:
        self.said.append(line)

    def progress(self, line: str) -> None:
        self.said.append(line)


def write(folder: Path, *, backbone: str = "tests.toys:tower", photos: int = 160, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "teacher.toml").write_text(TEACHER)
    path = folder / "toy.toml"
    path.write_text(RECIPE.format(backbone=backbone, photos=photos, more=more))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(write(tmp_path))


def train(recipe: Recipe, out: Path, cache: Path, **options: Any) -> Lines:
    lines = Lines()
    assert distill(DistillRequest(recipe, out, cache=cache, **options), lines) is not None
    return lines


def command(recipe: Path, out: Path, cache: Path, *more: str) -> list[str]:
    return ["distill", str(recipe), "--out", str(out), "--cache", str(cache), *more]


def processes(count: int, *command: str) -> list[Warm]:
    """`edgekit COMMAND` in processes that train together."""
    return [warm.edgekit(*command, **environment) for environment in warm.ranks(count)]


def log(out: Path, kind: str) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def test_a_run_leaves_weights_recipe_card_metrics_and_plot(recipe: Any, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    result = distill(DistillRequest(recipe, out, cache=cache), Lines())
    assert {"student.safetensors", "toy.toml", "metrics.jsonl", "card.json", "card.md", "training.png"} <= {
        path.name for path in out.iterdir()
    }
    ready = load_recipe(out / "toy.toml")
    assert ready.distill is None
    embedder = build_embedder(ready)
    assert embedder.origin == "file"
    assert not any(key.startswith(("heads", "projections")) for key in load_file(out / "student.safetensors"))
    card = json.loads((out / "card.json").read_text())
    assert card["teachers"][0]["license"] == "MIT"
    assert card["training"]["photos"] == 160
    assert card["figures"]["retrieval"]["seller-review"]["queries"] == 20
    assert card["data"][0]["sha256"]
    assert result is not None
    assert result.figures.table == card["figures"]
    assert log(out, "train")[-1]["photos"] == 160
    assert log(out, "validation")[0]["retrieval"]["seller-review"]["teacher_recall_1"] > 0


def test_the_loss_falls(tmp_path: Path, cache: Path) -> None:
    recipe = load_recipe(write(tmp_path, photos=1200, more="ema = 0.0".replace("ema", "weight_decay")))
    out = tmp_path / "out"
    distill(DistillRequest(recipe.model_copy(update={"distill": recipe.distill}), out, cache=cache), Lines())
    state = checkpoint.load(out / "checkpoint.safetensors")
    assert state.facts["position"]["shown"] == 1200
    assert log(out, "train")[-1]["losses"]["cosine"] < 0.5


def life(recipe: Recipe, out: Path, cache: Path) -> None:
    distill(DistillRequest(recipe, out, resume=True, cache=cache), Silent())


@pytest.mark.parametrize(
    ("accumulate", "kills", "optimizer"),
    [
        (1, 3, "adamw"),
        pytest.param(1, 20, "adamw", marks=pytest.mark.slow),
        pytest.param(2, 3, "adamw", marks=pytest.mark.slow),
        pytest.param(1, 3, "muon", marks=pytest.mark.slow),
    ],
)
def test_killing_a_run_at_random_moments_ends_in_the_same_bits(
    tmp_path: Path, cache: Path, accumulate: Any, kills: Any, optimizer: Any
) -> None:
    path = write(tmp_path, photos=240 * kills, more=f'accumulate = {accumulate}\nviews = 2\noptimizer = "{optimizer}"')
    path.write_text(path.read_text().replace("checkpoint_minutes = 60", "checkpoint_minutes = 0.0001"))
    recipe, dice = load_recipe(path), random.Random(accumulate)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    state = killed / "checkpoint.safetensors"

    def ends(out: Path) -> int | None:
        process = warm.start(life, recipe, out, cache)
        process.communicate(timeout=PATIENCE)
        return process.returncode

    assert ends(whole) == 0
    for _ in range(kills):
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = warm.start(life, recipe, killed, cache)
        until(partial(changed_since, state, before), process)
        time.sleep(dice.uniform(0.0, 0.15))
        process.kill()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    assert ends(killed) == 0
    for name in ("student.safetensors", "metrics.jsonl"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()


def test_two_processes_learn_what_one_with_the_doubled_batch_learns(tmp_path: Path, cache: Path) -> None:
    """Losses agree to 1e-4 (relative) and weights to 1e-3 of their range: sums are taken in another order."""
    one = write(tmp_path / "one", backbone="tests.toys:tokens", photos=320)
    one.write_text(one.read_text().replace("batch = 8", "batch = 16"))
    two = write(tmp_path / "two", backbone="tests.toys:tokens", photos=320)
    for count, path, name in ((1, one, "a"), (2, two, "b")):
        for process in processes(count, *command(path, tmp_path / name, cache, "--quiet")):
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors
    alone, together = (log(tmp_path / name, "train") for name in ("a", "b"))
    assert len(alone) == len(together)
    for left, right in zip(alone, together, strict=True):
        assert left["photos"] == right["photos"]
        for name, value in left["losses"].items():
            assert right["losses"][name] == pytest.approx(value, rel=1e-4)
    weights = [load_file(tmp_path / name / "student.safetensors") for name in ("a", "b")]
    for key, value in weights[0].items():
        assert torch.allclose(weights[1][key], value, atol=1e-3 * float(value.abs().max()))


def test_another_number_of_processes_may_go_on_and_says_so(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path, backbone="tests.toys:tokens", photos=320, more="checkpoint_minutes = 0.0001")
    path.write_text(path.read_text().replace("checkpoint_minutes = 60\n", ""))
    out = tmp_path / "out"
    together = processes(2, *command(path, out, cache, "--quiet"))
    until((out / "checkpoint.safetensors").exists, together[0])
    for process in together:
        process.send_signal(signal.SIGTERM)
    for process in together:
        process.communicate(timeout=PATIENCE)
    world = checkpoint_world(out)
    (alone,) = processes(1, *command(path, out, cache, "--resume"))
    _, errors = alone.communicate(timeout=PATIENCE)
    assert alone.returncode == 0, errors
    if world == 2:
        assert "goes on with 1" in " ".join(errors.split())


def changed_since(state: Path, before: int) -> bool:
    return state.exists() and state.stat().st_mtime_ns != before


def checkpoint_world(out: Path) -> int:
    return checkpoint.load(out / "checkpoint.safetensors").facts["world"]


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, cache: Path) -> None:
    path, out = write(tmp_path, photos=100_000), tmp_path / "out"
    process = warm.edgekit(*command(path, out, cache))
    until(lambda: (out / "metrics.jsonl").exists() and (out / "metrics.jsonl").stat().st_size, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert checkpoint.load(out / "checkpoint.safetensors").facts["position"]["shown"] > 0


def test_a_loss_that_is_no_number_names_the_batch_and_keeps_the_state(
    recipe: Any, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = importlib.import_module("edgekit.distillation.engine")
    spec = recipe.distill.model_copy(update={"checkpoint_minutes": 1e-6})
    recipe = recipe.model_copy(update={"distill": spec})
    calls, real = [0], engine.objectives

    def sometimes(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        values = real(*args, **options)
        return {name: value * float("nan") for name, value in values.items()} if calls[0] == 5 else values

    monkeypatch.setattr(engine, "objectives", sometimes)
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=r"step 5: .*cosine.*catalogue: listing-\d+/photo-\d.*kept in"):
        train(recipe, out, cache)
    kept = checkpoint.load(out / "checkpoint.safetensors")
    assert kept.facts["position"]["step"] == 4
    assert all(
        bool(torch.isfinite(value).all()) for value in kept.part("student").values() if value.is_floating_point()
    )
    monkeypatch.setattr(engine, "objectives", real)
    train(recipe, out, cache, resume=True)


def with_a_full_disk(*arguments: str) -> None:
    """The kernel refuses to write past a limit, as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    warm.command_line(*arguments)


def test_a_full_disk_keeps_the_last_state(recipe: Any, tmp_path: Path, cache: Path) -> None:
    train(changed(recipe, photos=320), tmp_path / "warm", cache)  # so that the teacher's embeddings are stored
    out = tmp_path / "out"
    process = warm.start(with_a_full_disk, *command(write(tmp_path, photos=320), out, cache, "--quiet"))
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == OutputError.exit_code, errors
    assert len([line for line in errors.splitlines() if line.startswith("error:")]) == 1
    assert "--resume" in errors
    assert not list(out.glob(".*partial*"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rate": 0.5}, UsageError, "distill.rate was 0.003 and is 0.5"),
        ({"seed": 6}, UsageError, "distill.seed"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    recipe: Any, tmp_path: Path, cache: Path, change: Any, error: Any, words: str
) -> None:
    out = tmp_path / "out"
    train(recipe, out, cache)
    other = recipe.model_copy(update={"distill": recipe.distill.model_copy(update=change)})
    with pytest.raises(error, match=words):
        train(other, out, cache, resume=True)


def test_a_run_is_not_overwritten_by_accident(recipe: Any, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    train(recipe, out, cache)
    before = (out / "student.safetensors").read_bytes()
    with pytest.raises(UsageError, match="`resume=True`"):
        train(recipe, out, cache)
    train(recipe, out, cache, resume=True)
    assert (out / "student.safetensors").read_bytes() == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        train(recipe, foreign, cache)


def test_a_damaged_checkpoint_is_one_line(recipe: Any, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    train(recipe, out, cache)
    path = out / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged"):
        train(recipe, out, cache, resume=True)


def changed(recipe: Recipe, **tables: Any) -> Recipe:
    assert recipe.distill is not None
    return recipe.model_copy(update={"distill": recipe.distill.model_copy(update=tables)})


def test_what_cannot_be_meant_is_said_before_any_work(recipe: Any, tmp_path: Path, cache: Path) -> None:
    spec = recipe.distill
    losses = spec.losses
    wide = recipe.override(embedding={"dim": 8})
    cases = [
        (recipe.model_copy(update={"distill": None}), "names no training data"),
        (changed(recipe, teachers=(), losses=losses.model_copy(update={"contrastive": 0, "labels": 0})), "learn from"),
        (changed(recipe, losses=losses.model_copy(update={"cosine": 0, "relational": 0})), "teach nothing"),
        (wide, "embeds in 24 values, the student in 8: give the student `dim=24`"),
        (changed(recipe, precision="fp16"), "GPU"),
        (changed(wide, matryoshka=(8,)), "below the embedding"),
    ]
    for bad, words in cases:
        with pytest.raises(UsageError, match=words):
            train(bad, tmp_path / "out", cache)


def test_a_teacher_of_another_size_teaches_through_a_projection(recipe: Any, tmp_path: Path, cache: Path) -> None:
    teacher = recipe.distill.teachers[0].model_copy(update={"projection": True})
    wide = changed(recipe.override(embedding={"dim": 8}), teachers=(teacher,))
    train(wide, tmp_path / "out", cache)
    assert log(tmp_path / "out", "train")[-1]["losses"]["cosine"] < 1.0
    assert load_file(tmp_path / "out" / "student.safetensors")["projection.weight"].shape == (8, 24)


def test_labels_that_training_never_shows_are_refused_or_ignored(recipe: Any, tmp_path: Path, cache: Path) -> None:
    data = recipe.distill.data[0]
    few = data.model_copy(update={"catalog": data.catalog.model_copy(update={"listings": 3})})
    bad = changed(recipe, data=(few,), photos=16)
    with pytest.raises(InputError, match=r"labels of 'color' never occur in training, first '\w"):
        train(bad, tmp_path / "out", cache)
    assert bad.distill is not None
    task = bad.distill.validation.retrieval[0]
    task = task.model_copy(update={"data": task.data.model_copy(update={"unseen": "ignore"})})
    validation = bad.distill.validation.model_copy(update={"retrieval": (task,)})
    train(changed(bad, validation=validation), tmp_path / "out2", cache)


def test_matryoshka_parts_are_useful_alone(recipe: Any, tmp_path: Path, cache: Path) -> None:
    nested = changed(recipe, matryoshka=(8,))
    train(nested, tmp_path / "out", cache)
    assert log(tmp_path / "out", "train")[-1]["losses"]["contrastive"] > 0


def test_frozen_modules_stand_still_until_their_share(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path, more='freeze = [{ until = 1.0, modules = ["backbone.stem", "backbone.norm"] }]')
    recipe = load_recipe(path)
    out = tmp_path / "out"
    train(recipe, out, cache)
    before, after = (
        build_embedder(recipe.override(model={"seed": 5})).state_dict(),
        load_file(out / "student.safetensors"),
    )
    for key, value in before.items():
        frozen = key.startswith(("backbone.stem", "backbone.norm"))
        if value.is_floating_point():
            assert torch.equal(value, after[key]) == frozen, key


def test_embeddings_computed_elsewhere_teach_without_a_model(recipe: Any, tmp_path: Path, cache: Path) -> None:
    from edgekit.distillation.sources import open_source
    from edgekit.recipe.training import TeacherSpec

    source = open_source(recipe.distill.data[0])
    teacher = build_embedder(load_recipe(tmp_path / "teacher.toml"))
    images = np.stack([source.read(index, (64, 64)) for index in range(len(source))])
    np.save(tmp_path / "known.npy", teacher.embed(images).astype(np.float16))
    spec = TeacherSpec(embeddings=tmp_path / "known.npy")
    train(changed(recipe, teachers=(spec,), augment="none"), tmp_path / "a", cache)
    train(changed(recipe, augment="none"), tmp_path / "b", cache)
    a, b = (load_file(tmp_path / name / "student.safetensors") for name in "ab")
    # The gradient of a bias in front of a batch norm is rounding alone, which Adam scales up, and the mean follows it.
    by_rounding = {"backbone.stem.bias", "backbone.norm.running_mean"}
    assert all(torch.allclose(a[key].float(), b[key].float(), atol=2e-3) for key in a.keys() - by_rounding)
    students = (
        build_embedder(recipe.override(model={"weights": tmp_path / name / "student.safetensors"})) for name in "ab"
    )
    first, second = (student.embed(images) for student in students)
    assert np.sum(first * second, axis=1).min() > 0.9999


def test_every_error_of_a_run_is_one_of_ours(recipe: Any, tmp_path: Path, cache: Path) -> None:
    teacher = recipe.distill.teachers[0].model_copy(update={"model": "no_such_model"})
    with pytest.raises(EdgeKitError, match="no_such_model"):
        train(changed(recipe, teachers=(teacher,)), tmp_path / "out", cache)
