"""A query adapter is one linear layer behind the embedding, of the model that it was learned for alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

from edgekit.distillation.run import DistillRequest, distill
from edgekit.errors import InputError, OutputError, UsageError
from edgekit.evaluation.galleries import unit
from edgekit.model.adapter import read_adapter, write_adapter
from edgekit.model.build import build, model_sha256
from edgekit.model.embedder import build_embedder
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe.selection import select_recipe
from edgekit.recipe.training import DistillSpec
from edgekit.support.progress import Silent
from tests.model.test_embedder import photos, recipe

WEIGHT = np.random.default_rng(0).standard_normal((10, 24)).astype(np.float32)


def written(path: Path, weight: np.ndarray = WEIGHT, **facts: str | None) -> Path:
    return write_adapter(path / "adapter.safetensors", weight, {"kind": "procrustes", **facts})


def adapted(path: Path) -> Recipe:
    return recipe("tests.toys:tower").override(embedding={"adapter": path})


def test_the_embedding_is_that_of_the_adapter(tmp_path: Path) -> None:
    plain = build_embedder(recipe("tests.toys:tower"))
    embedder = build(adapted(written(tmp_path)), Silent())
    assert embedder.dim == 10
    images = photos(3)
    np.testing.assert_allclose(embedder.embed(images), unit(plain.embed(images) @ WEIGHT.T), atol=1e-6)


def test_one_that_was_learned_for_another_model_is_refused(tmp_path: Path) -> None:
    own = recipe("tests.toys:tower")
    digest = model_sha256(build_embedder(own), own)
    assert build(adapted(written(tmp_path, new_kind="pytorch", new_model=digest)), Silent()).dim == 10
    with pytest.raises(InputError, match="learned from embeddings of another model"):
        build(adapted(written(tmp_path, new_kind="pytorch", new_model="0" * 64)), Silent())
    assert build(adapted(written(tmp_path, new_kind="onnx", new_model="0" * 64)), Silent()).dim == 10
    with pytest.raises(InputError, match=r"\[10, 9\], the model's embedding has 24 values"):
        build(adapted(written(tmp_path, WEIGHT[:, :9])), Silent())


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (np.where(WEIGHT > 2, np.nan, WEIGHT), "finite"),
        (WEIGHT * (np.arange(10) > 0)[:, None], "rows of zeros"),
        (WEIGHT.astype(np.float64), "float32"),
        (WEIGHT[0], r"\[24\]"),
    ],
)
def test_a_weight_that_is_none_is_one_line(weight: np.ndarray, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_adapter(written(tmp_path, np.ascontiguousarray(weight)), 24, "")
    assert "\n" not in str(caught.value)


def test_other_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    for content in ({"weight": WEIGHT}, {"other": WEIGHT}):
        save_file(content, path)
        with pytest.raises(InputError, match="is no query adapter"):
            read_adapter(path, 24, "")
    for metadata in ("{", "[]", '{"schema": "edgekit.adapter/2"}', "[" * 100_000):
        save_file({"weight": WEIGHT}, path, {"edgekit.adapter": metadata})
        with pytest.raises(InputError, match="is no query adapter"):
            read_adapter(path, 24, "")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"adapter\.safetensors"):
        read_adapter(path, 24, "")
    with pytest.raises(InputError, match="no such"):
        read_adapter(tmp_path / "none.safetensors", 24, "")


def test_the_same_bytes_each_time_and_a_clear_line_where_none_can_be_written(tmp_path: Path) -> None:
    facts = {"kind": "procrustes", "old_model": "ab" * 32, "new_model": None}
    path = write_adapter(tmp_path / "adapter.safetensors", WEIGHT, facts)
    before = path.read_bytes()
    assert write_adapter(path, WEIGHT, facts).read_bytes() == before
    assert torch.equal(load_file(path)["weight"], torch.from_numpy(WEIGHT))
    with pytest.raises(OutputError, match=r"adapter\.safetensors"):
        write_adapter(path / "adapter.safetensors", WEIGHT, facts)


def test_an_option_makes_another_model_of_another_name(tmp_path: Path) -> None:
    chosen = select_recipe("tests.toys:tower", adapter=written(tmp_path))
    assert chosen.name == "tests.toys-tower-adapted"
    assert chosen.embedding.adapter == tmp_path / "adapter.safetensors"


def test_a_recipe_names_it_from_where_it_is(tmp_path: Path) -> None:

    (tmp_path / "new.toml").write_text(
        '[model]\nbackbone = "tests.toys:tower"\n[embedding]\nadapter = "a.safetensors"\n'
    )
    assert load_recipe(tmp_path / "new.toml").embedding.adapter == tmp_path / "a.safetensors"


def test_no_student_is_trained_with_one(tmp_path: Path) -> None:
    given = adapted(written(tmp_path)).model_copy(
        update={"distill": DistillSpec.model_validate({"data": [{"name": "shop", "catalog": {"listings": 4}}]})}
    )
    with pytest.raises(UsageError, match="trained without an `adapter`"):
        distill(DistillRequest(given, tmp_path / "out"))
