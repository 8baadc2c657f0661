"""The table of schemes: it agrees with itself and with the documentation, and a row from outside costs only itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.errors import InputError
from edgekit.model.embedder import build_embedder
from edgekit.quantization import Plan, QuantizeRequest, apply, quantize, read_plan
from edgekit.quantization.schemes import SCHEMES, candidates, choices, described, gates_for, nearest_forms
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent

# A table of 32 values; Core ML has no indices of 5 bits.
TOY = dataclasses.replace(
    SCHEMES["palette6"],
    key="palette5",
    help="weights are indices into a table of 32 values",
    weight_bits=5,
    forms={**SCHEMES["palette6"].forms, "coreml": {"*": "w8"}, "onnx": {}},
)


def test_a_scheme_from_outside_costs_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SCHEMES, TOY.key, TOY)
    recipe = resolve_model("tests.toys:wide").override(input={"size": (64, 64)})
    result = quantize(QuantizeRequest(recipe=recipe, out=tmp_path, scheme=TOY.key, samples=16), Silent())
    plan = read_plan(result.path)
    assert plan.to_json() == result.plan.to_json() == result.path.read_text()
    jsonschema.validate(plan.model_dump(mode="json"), Plan.model_json_schema())
    assert result.shares["onnx"] < 0.25 < result.shares["coreml"]
    embedder = build_embedder(recipe)
    program = graph.prepare(graph.capture(embedder, embedder.example()))[0]
    images = np.stack([picture.image for picture in CatalogPictures(4, embedder.spec)])
    for target, form in (("onnx", "palette5"), ("coreml", "w8"), ("executorch", "w8a8-dynamic")):
        assert form in {row.on(target) for row in plan.layers}
        run = apply(program, plan, target)[0].module()
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            embeddings = np.concatenate([run(image[None]).numpy() for image in pixels])
        assert (embeddings * embedder.embed(images)).sum(axis=1).min() > 0.98
    monkeypatch.undo()
    with pytest.raises(InputError, match="'palette5' is none of auto, w8a8, w8a8-dynamic"):
        read_plan(result.path)


def test_what_stands_for_a_scheme_is_a_form_that_the_target_has() -> None:
    for scheme in SCHEMES.values():
        for kind in (*scheme.kinds, *scheme.other_kinds):
            for target, form in nearest_forms(scheme.key, kind).items():
                assert not SCHEMES[form].coded
                assert target not in nearest_forms(form, kind), (scheme.key, kind, target)


def test_the_search_begins_with_the_fastest() -> None:
    assert candidates("conv") == ["w8a8", "w8a8-dynamic"]
    assert candidates("linear") == ["w8a8-dynamic", "w8"]
    assert all(candidates(kind) for kind in SCHEMES["w8a8"].kinds)


def test_files_of_four_bits_have_gates_of_their_own() -> None:
    assert [gates_for(name) for name in ("fp32", "int8", "palette6", "palette4", "w4")] == [
        "fp32", "int8", "int8", "int4", "int4"
    ]  # fmt: skip


def test_the_documentation_has_every_choice_and_the_first_ios_that_runs_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "quantize.md").read_text()
    forms = {
        line.split("|")[1].strip(" `"): line.split("|")[2].strip() for line in text.splitlines() if "| iOS" in line
    }
    for scheme in SCHEMES.values():
        assert not scheme.choice or f"| `{scheme.key}` |" in text
        assert scheme.key not in forms or forms[scheme.key] == f"iOS {scheme.ios}"
    assert f"--scheme {'|'.join(choices())}" in text.replace("[--scheme", "--scheme")
    assert described([SCHEMES["w8"], SCHEMES["float"]]) == "w8: weights only; float: not quantized"
