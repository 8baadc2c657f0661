"""The Core ML target on a real conversion of a toy tower, read back with coremltools and EdgeKit's own runtime."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.errors import InputError, ModelError, ParityError, UnsupportedOpError, UsageError
from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.targets.base import LowerOptions
from edgekit.targets.coreml import backend as coreml
from tests.targets.conftest import METADATA, SIZE, build


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return build("coreml")


@pytest.fixture(scope="module")
def spec(rebuilt: tuple[Path, Path]) -> Any:
    return ct.models.utils.load_spec(str(_suffixed(rebuilt[0] / "coreml-fp16")))


def _suffixed(package: Path) -> Path:
    """coremltools takes a package for one by its suffix."""
    link = package.with_name(package.name + ".mlpackage")
    if not link.exists():
        link.symlink_to(package)
    return link


@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.999999), ("fp16", 0.999)])
def test_the_package_embeds_as_the_module_does(
    rebuilt: tuple[Path, Path], precision: str, cosine: float, embedder: Embedder, images: np.ndarray
) -> None:
    runner = coreml.open_reference(rebuilt[0] / f"coreml-{precision}")
    found, wanted = runner.embed(images), embedder.embed(images)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert (found * wanted).sum(axis=1).min() >= cosine
    assert runner.input_size == (SIZE, SIZE)
    assert runner.reference
    assert runner.runtime == "coreml-reference"


def test_the_interface_is_an_image_in_and_a_float32_embedding_out(spec: Any, embedder: Embedder) -> None:
    (image,), (embedding,) = spec.description.input, spec.description.output
    assert (image.name, embedding.name) == ("image", "embedding")
    assert image.type.imageType.colorSpace == ct.proto.FeatureTypes_pb2.ImageFeatureType.RGB
    assert (image.type.imageType.height, image.type.imageType.width) == (SIZE, SIZE)
    assert embedding.type.multiArrayType.dataType == ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    assert list(embedding.type.multiArrayType.shape) == [1, embedder.embed(np.zeros((1, SIZE, SIZE, 3), "u1")).shape[1]]
    assert "values 0-255" in image.shortDescription
    assert "unit-length" in embedding.shortDescription


def test_metadata_is_what_the_options_say(spec: Any) -> None:
    metadata = spec.description.metadata
    assert (metadata.author, metadata.license) == (METADATA["author"], METADATA["license"])
    assert (metadata.versionString, metadata.shortDescription) == (METADATA["version"], METADATA["description"])
    assert metadata.userDefined["edgekit.recipe"] == "toy"
    assert metadata.userDefined["edgekit.input_size"] == f"{SIZE}x{SIZE}"
    assert metadata.userDefined["edgekit.precision"] == "fp16"
    assert spec.specificationVersion == 7


def test_nothing_in_the_package_tells_when_or_where_it_was_made(
    rebuilt: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]], spec: Any
) -> None:
    files = tree(rebuilt[0] / "coreml-fp16")
    assert {Path(name).name for name in files} == {"Manifest.json", "model.mlmodel", "weight.bin"}
    assert not any(b"site-packages" in content or b".py" in content for content in files.values())
    assert not any("date" in key for key in spec.description.metadata.userDefined)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_processes_write_the_same_bytes(
    rebuilt: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]], precision: str
) -> None:
    one, two = (tree(folder / f"coreml-{precision}") for folder in rebuilt)
    assert one == two


class Inverse(nn.Module):
    """What coremltools refuses in the middle of a conversion."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 16, stride=16)

    def forward(self, image: Tensor) -> Tensor:
        return torch.linalg.inv(self.stem(image / 255) + 9 * torch.eye(2)).flatten(1)


def test_a_conversion_that_failed_leaves_the_bytes_of_the_next_alone(
    rebuilt: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]], program: ExportedProgram, tmp_path: Path
) -> None:
    refused = rewrite(capture(Inverse().eval(), torch.zeros(1, 3, 32, 32)), "coreml")[0]
    with pytest.raises(UnsupportedOpError, match="linalg_inv"):
        coreml.lower(refused, tmp_path / "refused", LowerOptions())
    coreml.lower(program, tmp_path / "coreml-fp16", LowerOptions(precision="fp16", metadata=METADATA))
    assert tree(tmp_path / "coreml-fp16") == tree(rebuilt[0] / "coreml-fp16")


def test_opening_a_package_with_coremltools_leaves_its_bytes(
    rebuilt: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]]
) -> None:
    package = rebuilt[1] / "coreml-fp16"
    before = tree(package)
    ct.models.utils.load_spec(str(_suffixed(package)))
    assert tree(package) == before


def test_item_identifiers_follow_the_content(rebuilt: tuple[Path, Path]) -> None:
    manifests = [json.loads((rebuilt[0] / f"coreml-{p}" / "Manifest.json").read_text()) for p in ("fp32", "fp16")]
    for manifest in manifests:
        assert manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["name"] == "model.mlmodel"
    assert not set(manifests[0]["itemInfoEntries"]) & set(manifests[1]["itemInfoEntries"])


@pytest.mark.parametrize(("min_ios", "version"), [(15, 6), (18, 9)])
def test_min_ios_decides_the_specification(
    program: ExportedProgram, tmp_path: Path, min_ios: int, version: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "toy.mlpackage"
    coverage = coreml.lower(program, path, LowerOptions(min_ios=min_ios, precision="fp16"))
    assert ct.models.utils.load_spec(str(path)).specificationVersion == version
    assert (coverage.backend, coverage.delegated, coverage.outside) == ("coreml", 1.0, {})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("min_ios", [13, 14, 99])
def test_an_ios_without_ml_programs_is_refused(program: ExportedProgram, tmp_path: Path, min_ios: int) -> None:
    with pytest.raises(UsageError, match=r"choose one of 15, 16, 17, 18"):
        coreml.lower(program, tmp_path / "toy.mlpackage", LowerOptions(min_ios=min_ios))
    assert not list(tmp_path.iterdir())


def test_an_image_input_takes_neither_batches_nor_byte_tensors(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one image"):
        coreml.lower(program, tmp_path / "toy.mlpackage", LowerOptions(dynamic_batch=True))
    with pytest.raises(ModelError, match="float32"):
        coreml.lower(build("coreml", uint8_input=True), tmp_path / "toy.mlpackage", LowerOptions())


def test_an_unsupported_op_is_named_with_its_module(exotic: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError, match=r"svd.*head\.1") as caught:
        coreml.lower(exotic, tmp_path / "exotic.mlpackage", LowerOptions())
    assert "\n" not in str(caught.value)


def test_the_runner_refuses_images_of_another_shape(rebuilt: tuple[Path, Path], images: np.ndarray) -> None:
    runner = coreml.open_reference(rebuilt[0] / "coreml-fp32")
    for wrong in (images[:, :32], images.astype(np.float32), images[0]):
        with pytest.raises(UsageError, match="resize"):
            runner.embed(wrong)


def test_a_broken_package_is_one_clear_line(rebuilt: tuple[Path, Path], tmp_path: Path) -> None:
    source = rebuilt[0] / "coreml-fp32" / "Data" / "com.apple.CoreML"
    broken = tmp_path / "broken.mlpackage"
    (broken / "Data" / "com.apple.CoreML").mkdir(parents=True)
    (broken / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes((source / "model.mlmodel").read_bytes()[:100])
    (broken / "Manifest.json").write_bytes((rebuilt[0] / "coreml-fp32" / "Manifest.json").read_bytes())
    with pytest.raises(InputError) as caught:
        coreml.open_reference(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_mac_core_ml_itself_gets_the_picture_and_is_compared(
    monkeypatch: pytest.MonkeyPatch, rebuilt: tuple[Path, Path], spec: Any, images: np.ndarray, agrees: bool
) -> None:
    package = rebuilt[0] / "coreml-fp32"
    reference = coreml.open_reference(package)

    class Model:
        def __init__(self, path: str) -> None:
            self.path = path

        def get_spec(self) -> Any:
            return spec

        def predict(self, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
            embedding = reference.embed(np.asarray(inputs["image"])[None])
            return {"embedding": embedding if agrees else np.roll(embedding, 1, axis=1)}

    fake = types.SimpleNamespace(models=types.SimpleNamespace(MLModel=Model))
    monkeypatch.setattr(coreml, "_coremltools", lambda: fake)
    monkeypatch.setattr("sys.platform", "darwin")
    runner = coreml.open(package)
    assert (runner.runtime, runner.reference, runner.input_size) == ("coreml", False, (SIZE, SIZE))
    if agrees:
        np.testing.assert_allclose(runner.embed(images), reference.embed(images), rtol=1e-6)
        return
    with pytest.raises(ParityError, match=r"image 0: .*cosine -?0\.\d+") as caught:
        runner.embed(images)
    assert "\n" not in str(caught.value)
