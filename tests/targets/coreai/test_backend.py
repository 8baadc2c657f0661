"""The Core AI target on a real conversion of a toy tower, run by Apple's own runtime on Linux."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from coreai.authoring import AIModelAsset
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import pipeline
from edgekit.data.datasets import CatalogPictures
from edgekit.errors import InputError, ModelError, UnsupportedOpError, UsageError
from edgekit.graph import capture, rewrite
from edgekit.graph.levels import Levels
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent
from edgekit.targets import Precision, find
from edgekit.targets.base import LowerOptions
from edgekit.targets.coreai import backend as target
from edgekit.targets.coreai import compiling
from edgekit.targets.coreai import runner as running
from edgekit.targets.coreai.asset import operators
from edgekit.targets.coreai.bytecode import steady_names
from edgekit.targets.coreai.runner import CoreAIRunner
from tests.targets.conftest import METADATA, PRECISIONS, SIZE, build, check_embeds, made_twice
from tests.targets.test_half import OnIntegers
from tests.waiting import PATIENCE


def rebuild(folder: Path) -> None:
    for precision in PRECISIONS:
        options = LowerOptions(precision=precision, min_ios=27, metadata=METADATA)
        target.lower(build("coreai"), folder / f"{precision}.aimodel", options)


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return build("coreai")


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same assets from two processes with different hash seeds, as `<precision>.aimodel` in each folder."""
    return made_twice(rebuild, tmp_path_factory)


@pytest.fixture(scope="module")
def runner(assets: tuple[Path, Path]) -> CoreAIRunner:
    opened = target.open(assets[0] / "fp32.aimodel")
    assert isinstance(opened, CoreAIRunner)
    return opened


@pytest.fixture
def copy(assets: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(assets[0] / "fp32.aimodel", tmp_path / "copy.aimodel"))


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        target.open(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def with_hash(path: Path, code: bytes) -> None:
    (path / "main.mlirb").write_bytes(code)
    (path / "main.hash").write_bytes(hashlib.sha256(code).digest())


@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.999999), ("fp16", 0.999)])
def test_the_asset_embeds_as_the_module_does(
    assets: tuple[Path, Path], precision: str, cosine: float, embedder: Embedder, images: np.ndarray
) -> None:
    opened = target.open(assets[0] / f"{precision}.aimodel")
    check_embeds(opened, "coreai (Linux CPU)", embedder, images, cosine)
    np.testing.assert_allclose(np.linalg.norm(opened.embed(images), axis=1), 1, atol=1e-5)


def test_images_verified_as_copies_are_the_very_floats_of_the_file_as_it_is(
    runner: CoreAIRunner, images: np.ndarray
) -> None:
    quick = runner.embed(images)
    assert runner._quick is not None
    np.testing.assert_array_equal(quick, [runner.run(runner.ready(image)) for image in images])


def test_a_quicker_program_that_gives_other_floats_is_not_used(
    assets: tuple[Path, Path], runner: CoreAIRunner, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = target.open(assets[0] / "fp16.aimodel")
    assert isinstance(other, CoreAIRunner)
    monkeypatch.setattr(other, "_quick", runner._written)
    monkeypatch.setattr(other, "_room", None)
    due = [other.run(other.ready(image)) for image in images[:2]]
    np.testing.assert_array_equal(other.embed(images[:2]), due)


def test_products_of_half_numbers_are_verified_in_float32_and_rounded(
    assets: tuple[Path, Path], runner: CoreAIRunner, images: np.ndarray
) -> None:
    """The runtime has no kernel for them, and takes a hundred times as long."""
    half = target.open(assets[0] / "fp16.aimodel")
    assert isinstance(half, CoreAIRunner)
    found, due = half.embed(images), np.stack([half.run(half.ready(image)) for image in images])
    assert half._quick is not None
    np.testing.assert_array_equal(found[0], due[0])  # as the file gives it
    assert not np.array_equal(found, due)
    assert (found * due).sum(axis=1).min() > 0.999
    assert runner._room is None  # no such products in float32


@pytest.mark.parametrize("wrong", [-1.0, np.nan], ids=["turned", "nan"])
def test_a_quicker_program_that_is_not_near_is_not_used(
    assets: tuple[Path, Path], images: np.ndarray, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = target.open(assets[0] / "fp16.aimodel")
    assert isinstance(half, CoreAIRunner)
    due = half.run(half.ready(images[0]))
    right = half._run
    monkeypatch.setattr(
        half, "_run", lambda used, given: [row * (1 if used is half._written else wrong) for row in right(used, given)]
    )
    np.testing.assert_array_equal(half.embed(images[:1])[0], due)


def test_a_runner_works_from_threads_and_inside_an_event_loop(runner: CoreAIRunner, images: np.ndarray) -> None:
    due, found = runner.embed(images[:2]), {}

    async def inside() -> np.ndarray:
        return runner.embed(images[:2])

    def work(name: int) -> None:
        found[name] = runner.embed(images[:2])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    np.testing.assert_array_equal(asyncio.run(inside()), due)
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(np.array_equal(rows, due) for rows in found.values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_interface_is_float32_pixels_in_and_a_float32_embedding_out(
    assets: tuple[Path, Path], precision: Precision, embedder: Embedder, images: np.ndarray
) -> None:
    summary = AIModelAsset.load(assets[0] / f"{precision}.aimodel").summary()
    assert summary is not None
    dim = embedder.embed(images[:1]).shape[1]
    ((image, pixels),), ((embedding, floats),) = summary.function_inputs("main"), summary.function_outputs("main")
    assert (image, embedding) == ("image", "embedding")
    assert all("32" in kind for kind in (pixels, floats))
    assert str(SIZE) in pixels
    assert str(dim) in floats


def test_half_precision_halves_the_weights(assets: tuple[Path, Path]) -> None:
    whole, half = ((assets[0] / f"{name}.aimodel" / "main.mlirb").stat().st_size for name in PRECISIONS)
    assert half < 0.75 * whole
    summary = AIModelAsset.load(assets[0] / "fp16.aimodel").summary()
    assert summary is not None
    kinds = dict(summary.storage_types)
    assert max(kinds, key=lambda kind: kinds[kind]).lower().replace("float", "f") == "f16"


def test_a_call_that_is_to_stay_in_float32_does(
    program: ExportedProgram, tmp_path: Path, assets: tuple[Path, Path], embedder: Embedder, images: np.ndarray
) -> None:
    calls = [node.name for node in program.graph.nodes if node.op == "call_function"]
    options = LowerOptions(precision="fp16", min_ios=27, float32_calls=frozenset(calls[: len(calls) // 2]))
    target.lower(program, tmp_path / "mixed.aimodel", options)
    whole, half = ((assets[0] / f"{name}.aimodel" / "main.mlirb").stat().st_size for name in PRECISIONS)
    assert half < (tmp_path / "mixed.aimodel" / "main.mlirb").stat().st_size < whole
    found = target.open(tmp_path / "mixed.aimodel").embed(images[:2])
    assert (found * embedder.embed(images[:2])).sum(axis=1).min() > 0.999


def test_metadata_is_what_the_options_say(assets: tuple[Path, Path]) -> None:
    metadata = AIModelAsset.load(assets[0] / "fp16.aimodel").metadata
    given = (metadata.author, metadata.license, metadata.model_description)
    assert given == (METADATA["author"], METADATA["license"], METADATA["description"])
    own = json.loads((assets[0] / "fp16.aimodel" / "metadata.json").read_text())["creatorDefinedMetadata"]
    assert {key: own[f"edgekit.{key}"] for key in ("version", "recipe")} == {"version": "2.1", "recipe": "toy"}
    assert own["edgekit.input_size"] == f"{SIZE}x{SIZE}"
    assert own["edgekit.precision"] == "fp16"


def test_nothing_in_the_asset_tells_when_or_where_it_was_made(
    assets: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]]
) -> None:
    files = tree(assets[0] / "fp32.aimodel")
    assert {Path(name).name for name in files} == {"main.mlirb", "main.hash", "metadata.json"}
    words = (b"site-packages", b".py", b"Date", b"resource_", str(assets[0]).encode(), str(Path.home()).encode())
    assert not any(word in content for content in files.values() for word in words)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_processes_write_the_same_bytes(
    assets: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]], precision: Precision
) -> None:
    one, two = (tree(folder / f"{precision}.aimodel") for folder in assets)
    assert one == two


def test_an_asset_replaces_what_was_there(program: ExportedProgram, tmp_path: Path, assets: tuple[Path, Path]) -> None:
    path = tmp_path / "toy.aimodel"
    path.mkdir()
    (path / "old").touch()
    coverage = target.lower(program, path, LowerOptions(min_ios=27))
    assert {file.name for file in path.iterdir()} == {"main.mlirb", "main.hash", "metadata.json"}
    assert (path / "main.mlirb").read_bytes() == (assets[0] / "fp32.aimodel" / "main.mlirb").read_bytes()
    assert (coverage.backend, coverage.delegated, coverage.outside) == ("coreai", 1.0, {})
    convolutions = sum("conv2d" in str(node.target) for node in program.graph.nodes)
    assert coverage.operators["conv2d"] == convolutions > 0
    assert "constant" not in coverage.operators


@pytest.mark.parametrize("min_ios", [16, 26, 28])
def test_an_ios_without_core_ai_is_refused(program: ExportedProgram, tmp_path: Path, min_ios: int) -> None:
    with pytest.raises(UsageError, match=f"`min_ios` is {min_ios}.*choose one of 27"):
        target.lower(program, tmp_path / "toy.aimodel", LowerOptions(min_ios=min_ios))


def test_it_takes_neither_batches_nor_byte_tensors(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dynamic_batch"):
        target.lower(program, tmp_path / "toy.aimodel", LowerOptions(min_ios=27, dynamic_batch=True))
    with pytest.raises(ModelError, match=r"one float32 \[1, 3, H, W\] input, not torch\.uint8"):
        target.lower(build("coreai", uint8_input=True), tmp_path / "toy.aimodel", LowerOptions(min_ios=27))


def test_an_unsupported_op_is_named_with_its_module(exotic: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError, match=r"svd.*head\.1") as caught:
        target.lower(exotic, tmp_path / "exotic.aimodel", LowerOptions(min_ios=27))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exotic.aimodel").exists()


class Deep(nn.Module):
    """What the converter knows by name, and refuses in the middle of a conversion."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(1, 1, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.up(image[None] / 255).flatten(1)[:, :4]


def test_an_argument_that_the_converter_refuses_is_told_with_its_module(tmp_path: Path) -> None:
    deep = capture(Deep().eval(), torch.zeros(1, 3, 4, 4))
    with pytest.raises(UnsupportedOpError, match=r"convolution.*in up\b.*not yet supported") as caught:
        target.lower(deep, tmp_path / "deep.aimodel", LowerOptions(min_ios=27))
    assert "\n" not in str(caught.value)


def test_the_runner_refuses_images_of_another_shape(runner: CoreAIRunner, images: np.ndarray) -> None:
    with pytest.raises(UsageError, match="resize them first"):
        runner.embed(images[:, :32])
    assert runner.embed(images[:0]).shape == (0, runner.embed(images[:1]).shape[1])


def test_a_file_or_an_empty_folder_is_no_asset(tmp_path: Path) -> None:
    (tmp_path / "file.aimodel").write_text("no asset")
    (tmp_path / "empty.aimodel").mkdir()
    refused(tmp_path / "file.aimodel", "is a folder with main.mlirb, and this is none")
    refused(tmp_path / "missing.aimodel", "is a folder with main.mlirb, and this is none")
    refused(tmp_path / "empty.aimodel", "has no file main.mlirb")


@pytest.mark.parametrize("name", ["main.mlirb", "main.hash", "metadata.json"])
def test_a_part_that_is_missing_or_empty_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"")
    refused(copy, f"{name} has 0 bytes")
    (copy / name).unlink()
    refused(copy, f"has no file {name}")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_bytecode_is_told_by_its_hash(copy: Path, share: float) -> None:
    code = (copy / "main.mlirb").read_bytes()
    (copy / "main.mlirb").write_bytes(code[: int(len(code) * share)])
    refused(copy, "does not have the hash that main.hash states")


def test_edited_bytecode_is_told_by_its_hash(copy: Path) -> None:
    code = bytearray((copy / "main.mlirb").read_bytes())
    code[len(code) // 2] ^= 1
    (copy / "main.mlirb").write_bytes(code)
    refused(copy, "does not have the hash that main.hash states")
    with_hash(copy, b"not MLIR" * 9)
    refused(copy, "is no MLIR bytecode")


def test_bytecode_and_assets_of_a_newer_version_are_told(copy: Path) -> None:
    code = (copy / "main.mlirb").read_bytes()
    with_hash(copy, code[:4] + bytes([99 << 1 | 1]) + code[5:])
    refused(copy, "bytecode of version 99, newer than 6")
    with_hash(copy, code)
    metadata = json.loads((copy / "metadata.json").read_text())
    (copy / "metadata.json").write_text(json.dumps(metadata | {"assetVersion": "3.0"}))
    refused(copy, "version is 3.0, newer than 2.0")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"assetVersion": 2}', '{"assetVersion": "2.x"}', "[" * 100000], ids=range(6)
)
def test_metadata_that_is_none_is_told(copy: Path, text: str) -> None:
    (copy / "metadata.json").write_text(text)
    refused(copy, r"metadata\.json")


def test_bytecode_that_crashes_the_compiler_is_an_error_like_others(copy: Path) -> None:
    """With a hash that agrees; the bytes that are edited are those of the program, before its weights."""
    code = (copy / "main.mlirb").read_bytes()
    outcomes = set()
    for place in (200, 2000, 4000):
        edited = bytearray(code)
        edited[place : place + 40] = bytes(255 - byte for byte in edited[place : place + 40])
        with_hash(copy, bytes(edited))
        with pytest.raises(InputError, match="Core AI cannot") as caught:
            target.open(copy)
        outcomes.add(str(caught.value))
        assert "\n" not in str(caught.value)
    assert outcomes


def on_levels(shape: tuple[int, ...], bits: int, even: bool) -> Levels:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**bits, shape).astype(np.uint8)
    if even:
        blocks = 1 if shape[1] < 16 else 2
        return Levels(codes, bits, scales=rng.uniform(0.01, 0.1, (shape[0], blocks)).astype(np.float16).astype("f4"))
    return Levels(codes, bits, table=rng.normal(size=2**bits).astype(np.float16).astype("f4"))


@pytest.mark.parametrize(("bits", "even"), [(4, False), (6, False), (8, False), (4, True)])
def test_weights_on_few_levels_are_stored_in_few_bits(tmp_path: Path, bits: int, even: bool) -> None:
    pooled = nn.AdaptiveAvgPool2d(1)  # torch spells it with strides, which the converter refuses
    convolution, linear = nn.Conv2d(3, 32, 3, padding=1), nn.Linear(32, 512)
    levels = [on_levels(tuple(layer.weight.shape), bits, even) for layer in (convolution, linear)]
    for layer, own in zip((convolution, linear), levels, strict=True):
        layer.weight.data = torch.from_numpy(own.values())
    module = nn.Sequential(convolution, pooled, nn.Flatten(), linear).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    program = rewrite(capture(module, pixels[:1]), "coreai")[0]
    target.lower(program, tmp_path / "few.aimodel", LowerOptions(min_ios=27, levels=levels))
    with torch.no_grad():
        due = module(pixels).numpy()
    np.testing.assert_allclose(target.open(tmp_path / "few.aimodel").embed(images), due, rtol=1e-3, atol=1e-3)
    most = 11000 + sum(own.codes.size for own in levels) * bits / 8  # bytes, with the program, biases and scales
    assert (tmp_path / "few.aimodel" / "main.mlirb").stat().st_size < most


def test_scales_that_half_precision_lacks_keep_their_digits(tmp_path: Path, images: np.ndarray) -> None:
    module = OnIntegers().eval()
    pixels = torch.from_numpy(images[:2]).permute(0, 3, 1, 2).float()
    exported = torch.export.export(module, (pixels[:1],))
    target.lower(exported, tmp_path / "integers.aimodel", LowerOptions(precision="fp16", min_ios=27))
    with torch.no_grad():
        due = np.concatenate([module(image[None]).numpy() for image in pixels])
    assert (target.open(tmp_path / "integers.aimodel").embed(images[:2]) * due).sum(axis=1).min() > 0.99999
    assert operators(tmp_path / "integers.aimodel")["dequantize"] == 2  # of the image, and of the weight: still bytes


def exported(name: str, folder: Path, samples: int) -> pipeline.Export:
    recipe = resolve_model(name)
    if name.startswith("tests."):
        recipe = recipe.override(input={"size": (SIZE, SIZE)})
    asked = pipeline.ExportRequest(recipe, [find("ios", "coreai")], out=folder, samples=samples)
    (made,) = pipeline.export(asked, Silent()).exports
    assert made.error is None
    return made


def test_an_export_keeps_in_float32_what_half_precision_spoils(tmp_path: Path) -> None:
    """A toy with four hazards: its first file in half precision, the default, gives no numbers."""
    made = exported("tests.half_toys:every", tmp_path, 16)
    assert made.manifest is not None
    assert (made.precision, made.manifest.parity.verdict) == ("fp16", "pass")
    assert {item.module for item in made.manifest.float32_ops} >= {f"backbone.hazards.{index}" for index in range(1, 4)}


def test_a_bundled_student_is_the_same_in_its_asset(tmp_path: Path) -> None:
    student = build_embedder(resolve_model("catalog-s0"))
    photos = np.stack([picture.image for picture in CatalogPictures(2, student.spec)])
    program = rewrite(capture(student, student.example()), "coreai")[0]
    target.lower(program, tmp_path / "student.aimodel", LowerOptions(precision="fp16", min_ios=27))
    found, due = target.open(tmp_path / "student.aimodel").embed(photos), student.embed(photos)
    assert (found * due).sum(axis=1).min() > 0.999
    assert (found[0] * due[1]).sum() < 0.99


@pytest.mark.parametrize(
    ("does", "said"),
    [("while True: pass", "it took too much CPU time"), ("bytearray(1 << 40)", "MemoryError")],
    ids=["time", "memory"],
)
def test_a_compiler_that_takes_too_much_is_ended(
    copy: Path, tmp_path: Path, does: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "compiling.py"
    source = Path(compiling.__file__).read_text().replace("_SECONDS = 300 ", "_SECONDS = 2 ")
    program.write_text(source.replace("    compile_asset(Path", f"    {does}\n    compile_asset(Path"))
    monkeypatch.setattr(running, "_PROGRAM", program)
    refused(copy, rf"Core AI cannot compile this asset \({said}\)")


def test_a_process_that_used_core_ai_ends_with_its_own_code(assets: tuple[Path, Path]) -> None:
    """Threads of the runtime that come back to Python while it ends would abort it."""
    program = (
        "import sys, pathlib, numpy; from edgekit.targets.coreai.backend import open\n"
        f"open(pathlib.Path(sys.argv[1])).embed(numpy.zeros((4, {SIZE}, {SIZE}, 3), 'uint8')); sys.exit(3)"
    )
    command = [sys.executable, "-c", program, str(assets[0] / "fp32.aimodel")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 3, done.stderr


def test_files_of_another_kind_in_an_asset_are_refused(copy: Path, tmp_path: Path) -> None:
    """A pipe would be read for ever; a link may lead anywhere."""
    for name in ("main.mlirb", "main.hash", "metadata.json"):
        content = (copy / name).read_bytes()
        (copy / name).unlink()
        os.mkfifo(copy / name)
        refused(copy, f"has no file {name}")
        (copy / name).unlink()
        (tmp_path / name).write_bytes(content)
        (copy / name).symlink_to(tmp_path / name)
        refused(copy, f"has no file {name}")
        (copy / name).unlink()
        (copy / name).write_bytes(content)
    assert target.open(copy).input_size == (SIZE, SIZE)


@pytest.mark.parametrize("size", [31, 33, 64, 65])
def test_a_hash_of_another_length_is_refused(copy: Path, size: int) -> None:
    (copy / "main.hash").write_bytes(((copy / "main.hash").read_bytes() * 3)[:size])
    refused(copy, r"main\.hash")


def test_metadata_that_is_too_long_is_not_read(copy: Path) -> None:
    with (copy / "metadata.json").open("ab") as metadata:
        metadata.truncate(1 << 40)
    refused(copy, r"metadata\.json has 1099511627776 bytes, at most 1048576 allowed")


def test_an_asset_that_is_no_embedder_is_told(program: ExportedProgram, tmp_path: Path) -> None:
    from edgekit.targets.coreai.convert import bytecode

    exported = torch.export.export(nn.Flatten(), (torch.zeros(1, 4, 5, 5),))
    path = tmp_path / "other.aimodel"
    target.lower(program, path, LowerOptions(min_ios=27))
    with_hash(path, bytecode(exported))
    refused(path, r"not an embedder, which takes one float32 \[1, 3, H, W\]")


@pytest.mark.parametrize("size", [0, 3, 30, 100])
def test_names_are_not_made_steady_in_what_is_no_bytecode(assets: tuple[Path, Path], size: int) -> None:
    code = (assets[0] / "fp32.aimodel" / "main.mlirb").read_bytes()
    assert steady_names(code) == code
    with pytest.raises(ValueError, match=r"bytecode|number|section|strings|subsection"):
        steady_names(code[:size])


class Uncounted(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(image / 255, 3, 1, 1, count_include_pad=False)
        return nn.functional.normalize(pooled.flatten(1))


def test_how_many_pixels_a_window_counts_is_worked_out_once(tmp_path: Path, images: np.ndarray) -> None:
    """And not pooled beside each image."""
    module = Uncounted().eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    program = rewrite(capture(module, pixels[:1]), "coreai")[0]
    target.lower(program, tmp_path / "pool.aimodel", LowerOptions(min_ios=27))
    assert operators(tmp_path / "pool.aimodel")["sum_pool_2d"] == 1
    np.testing.assert_allclose(target.open(tmp_path / "pool.aimodel").embed(images), module(pixels), atol=1e-6)
