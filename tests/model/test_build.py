"""An embedder that is built says what its weights are, and what programs are held against is always the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgekit.model.build import build, probe
from edgekit.recipe import InputSpec, ModelSpec, Recipe
from edgekit.support.progress import Silent

RECIPE = Recipe(name="toy", model=ModelSpec(backbone="test_vit"), input=InputSpec(size=(64, 64)))


def test_random_weights_are_told_and_others_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embedder = build(RECIPE, Silent())
    said = capsys.readouterr().err
    assert "toy has RANDOM weights (seed 0)" in said and "`weights`" in said
    save_file(embedder.state_dict(), tmp_path / "w.safetensors")
    loaded = build(RECIPE.override(model={"weights": tmp_path / "w.safetensors"}), Silent())
    assert capsys.readouterr().err == ""
    assert torch.equal(loaded.run(loaded.example()), embedder.run(embedder.example()))


def test_the_probe_is_the_same_each_time_and_what_the_embedder_makes_of_it() -> None:
    embedder = build(RECIPE, Silent())
    first, again = probe(embedder), probe(embedder)
    assert len(first.inputs) == 2
    for one, other, due in zip(first.inputs, again.inputs, first.expected, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(embedder.run(one), due)
