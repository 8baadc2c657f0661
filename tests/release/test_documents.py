"""The model card, the bill of materials and the training card: complete, escaped, valid, the same each time."""

from __future__ import annotations

import dataclasses
import json
import uuid
from pathlib import Path

import pytest

from edgekit.artifact.manifest import Hazard, RuntimeVerdict, RuntimeVersions
from edgekit.errors import InputError
from edgekit.recipe.recipe import models_folder
from edgekit.release.bom import bill_of_materials, check_bom
from edgekit.release.card import model_card
from edgekit.release.changelog import changelog
from edgekit.release.material import Given, Subject, open_given, space_of
from edgekit.release.training import TrainingCard, find_card, read_card

BUNDLED = models_folder() / "catalog-s0.json"


def _of_card(given: Given) -> Given:
    """The artifact as if it had been made of the bundled model's weights."""
    digest = json.loads(BUNDLED.read_text())["weights"]["sha256"]
    weights = given.manifest.weights.model_copy(update={"sha256": digest})
    return dataclasses.replace(given, manifest=given.manifest.model_copy(update={"weights": weights}))


@pytest.fixture
def subject(toys: dict[str, Path]) -> Subject:
    given = tuple(_of_card(open_given(path)) for path in toys.values())
    manifest = given[0].manifest
    card = read_card(BUNDLED, manifest)
    return Subject("toy", "1.0.0", "plain", space_of(given[0]), "Apache-2.0", "Index all.", None, given, card)


def _changed(subject: Subject, **fields: object) -> Subject:
    """With fields of every manifest changed."""
    given = tuple(dataclasses.replace(one, manifest=one.manifest.model_copy(update=fields)) for one in subject.given)
    return dataclasses.replace(subject, given=given)


def test_card_has_a_head_for_the_hub_and_all_figures(subject: Subject) -> None:
    yaml = pytest.importorskip("yaml")
    text = model_card(subject)
    _, head, body = text.split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["license"] == "apache-2.0" and fields["pipeline_tag"] == "image-feature-extraction"
    assert {"coreml", "executorch", "onnx"} <= set(fields["tags"])
    for one in subject.given:
        assert f"| {one.folder.name} | {one.manifest.target.format} | {one.manifest.precision} |" in body
    assert "reference: a stand-in for the device's runtime (coreml-reference)" in body
    assert "host: the vendor's runtime on a computer (onnxruntime)" in body
    assert "| recall_1 | seller-review | 0.9795 |" in body and "| queries | seller-review | 2,000 |" in body
    assert "3,291,568 parameters" in body and subject.space in body


def test_what_others_wrote_breaks_no_table(subject: Subject) -> None:
    hostile = "<script>|\n| x | \u202e"
    hazard = Hazard(name="h", where=hostile, concerns="c", effect="e", remedy="r")
    metadata = subject.manifest.metadata.model_copy(update={"author": hostile, "description": hostile})
    text = model_card(_changed(subject, hazards=[hazard], metadata=metadata))
    assert "<script>" not in text and "\u202e" not in text
    assert f"| author | {'&lt;script&gt;'}\\|?\\| x \\| ? |" in text


def test_the_oldest_runtime_that_agrees_is_on_the_card(subject: Subject) -> None:
    assert "oldest" not in model_card(subject)
    tried: dict[str, RuntimeVerdict] = {"1.3.1": "refused", "1.4.1": "pass"}
    runtime = RuntimeVersions(package="executorch", oldest="1.4.1", tried=tried)
    text = model_card(_changed(subject, runtime=runtime))
    for one in subject.given:
        assert f"executorch that gives the original's answers with {one.folder.name} is 1.4.1" in text
    assert "(tried: 1.3.1: refused, 1.4.1: pass)" in text


def test_card_without_training(subject: Subject) -> None:
    assert "No training card came with the artifacts" in model_card(dataclasses.replace(subject, card=None))


def test_bom_is_valid_and_says_it_all(subject: Subject) -> None:
    text = bill_of_materials(subject, None)
    assert check_bom(text) is None
    content = json.loads(text)
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.7")
    assert uuid.UUID(content["serialNumber"].removeprefix("urn:uuid:")).version == 5
    assert "timestamp" not in content["metadata"]
    assert {one["name"] for one in content["components"]} == {one.folder.name for one in subject.given}
    for component, given in zip(
        content["components"], sorted(subject.given, key=lambda one: one.folder.name), strict=True
    ):
        assert component["type"] == "machine-learning-model"
        hashes = {file["name"]: file["hashes"][0]["content"] for file in component["components"]}
        assert hashes == {f"{given.folder.name}/{entry.path}": entry.sha256 for entry in given.model_files}
        for file in component["components"]:
            facts = {fact["name"]: fact["value"] for fact in file["properties"]}
            assert facts["edgekit:precision"] == given.manifest.precision
            assert facts["edgekit:quantization-scheme"] == "none"
        card = component["modelCard"]
        assert [one["description"] for one in card["modelParameters"]["datasets"]] == ["training", "parity"]
        assert any(one["type"] == "recall_1" for one in card["quantitativeAnalysis"]["performanceMetrics"])


def test_bom_follows_from_its_content(subject: Subject) -> None:
    text = bill_of_materials(subject, None)
    turned = dataclasses.replace(subject, given=tuple(reversed(subject.given)))
    assert bill_of_materials(turned, None) == text
    other = bill_of_materials(dataclasses.replace(subject, version="1.0.1"), None)
    assert json.loads(other)["serialNumber"] != json.loads(text)["serialNumber"]
    dated = json.loads(bill_of_materials(subject, "2026-01-01T00:00:00Z"))
    assert dated["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    named = json.loads(bill_of_materials(dataclasses.replace(subject, license="my own"), None))
    assert named["components"][0]["licenses"] == [{"license": {"name": "my own"}}]


def test_a_bill_that_is_none() -> None:
    assert check_bom('{"bomFormat": "CycloneDX", "specVersion": "1.7", "extra": 1}') is not None


def test_first_entry_of_a_changelog(subject: Subject) -> None:
    text = changelog(subject, None, None)
    assert text.startswith("# Changelog\n") and "\n## [1.0.0]\n" in text
    assert "- onnx fp32: " in text and "- ios coreml fp16: " in text


def test_training_card_is_of_these_weights(subject: Subject, toys: dict[str, Path], tmp_path: Path) -> None:
    own = open_given(toys["onnx"]).manifest
    assert find_card(own, None) is None
    with pytest.raises(InputError, match="is the card of other weights"):
        read_card(BUNDLED, own)
    beside = tmp_path / "w.safetensors"
    (tmp_path / "card.json").write_bytes(BUNDLED.read_bytes())
    found = find_card(subject.manifest, beside)
    assert isinstance(found, TrainingCard) and found == subject.card
    named = subject.manifest.model_copy(update={"recipe": {"name": "catalog-s0"}})
    assert find_card(named, None) == found
    assert find_card(own.model_copy(update={"recipe": {"name": "../x"}}), None) is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"name": 1}', "no", '{"name": "a", "parameters": NaN}'])
def test_a_training_card_that_is_none(text: str, subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(InputError, match=r"card\.json"):
        read_card(tmp_path / "card.json", subject.manifest)
    assert find_card(subject.manifest.model_copy(update={"recipe": {}}), tmp_path / "w.safetensors") is None
