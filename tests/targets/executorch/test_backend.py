"""The ExecuTorch target: written files, read by ExecuTorch's own runtime, against PyTorch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from executorch.backends.apple.coreml import executorchcoreml
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.errors import InputError, OutputError, UnsupportedOpError, UsageError
from edgekit.graph import capture, rewrite
from edgekit.targets.base import Coverage, LowerOptions
from edgekit.targets.executorch import backend as executorch
from edgekit.targets.executorch import coreml as executorch_coreml

SIZE = 32


class Tiny(nn.Module):
    """A stem, a large depthwise kernel, attention, a token mean and the L2 norm."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, dim, 3, 4, 1, bias=False), nn.BatchNorm2d(dim), nn.GELU())
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm, self.qkv, self.proj = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem((image - 120.0) * 0.017)
        x = (x + self.depthwise(x)).flatten(2).transpose(1, 2)
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.proj(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        return nn.functional.normalize(x.mean(1), dim=1)


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def expected(module: nn.Module) -> np.ndarray:
    with torch.no_grad():
        rows: np.ndarray = module(torch.from_numpy(images()).permute(0, 3, 1, 2).float()).numpy()
    return rows


@pytest.fixture(scope="module")
def module() -> nn.Module:
    return Tiny().eval()


@pytest.fixture(scope="module")
def program(module: nn.Module) -> ExportedProgram:
    return capture(module, torch.zeros(1, 3, SIZE, SIZE))


@pytest.fixture(scope="module")
def written(program: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Coverage]:
    path = tmp_path_factory.mktemp("pte") / "tiny.pte"
    return path, executorch.lower(rewrite(program, "executorch")[0], path, LowerOptions())


def test_the_file_embeds_like_the_module(written: tuple[Path, Coverage], module: nn.Module) -> None:
    runner = executorch.open(written[0])
    assert runner.input_size == (SIZE, SIZE) and runner.runtime == "executorch" and not runner.reference
    rows = runner.embed(images())
    assert rows.dtype == np.float32 and rows.shape == (3, 16)
    np.testing.assert_allclose(rows, expected(module), atol=2e-6)
    np.testing.assert_array_equal(runner.embed(images()), rows)


def test_earlier_results_survive_later_runs(written: tuple[Path, Coverage]) -> None:
    runner = executorch.open(written[0])
    first = runner.embed(images()[:1])
    kept = first.copy()
    runner.embed(images()[1:2])
    np.testing.assert_array_equal(first, kept)


def test_the_whole_graph_is_delegated_in_one_piece(written: tuple[Path, Coverage]) -> None:
    coverage = written[1]
    assert coverage.backend == "XNNPACK" and coverage.partitions == 1
    assert coverage.delegated == 1.0 and coverage.outside == {}


def test_operators_left_outside_are_counted(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), Running(), nn.Linear(4, 4)).eval()
    new, _ = rewrite(capture(model, torch.zeros(1, 3, 8, 8)), "executorch")
    coverage = executorch.lower(new, tmp_path / "a.pte", LowerOptions())
    assert 0 < coverage.delegated < 1 and coverage.outside == {"cumsum": 1}


def test_half_precision(program: ExportedProgram, module: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "half.pte"
    executorch.lower(rewrite(program, "executorch")[0], path, LowerOptions(precision="fp16"))
    rows = executorch.open(path).embed(images())
    assert rows.dtype == np.float32
    cosines = (rows * expected(module)).sum(axis=1)
    assert cosines.min() > 0.999
    assert np.abs(rows - expected(module)).max() > 1e-7, "this is not half precision"


def test_a_writing_fault_is_one_line(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        executorch.write(tmp_path / "missing" / "a.pte", b"")


class Running(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1)


class Svd(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.linalg.svdvals(image.flatten(2))[:, 0]


def test_an_operator_without_a_kernel_is_named_with_its_module(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Svd()).eval()
    new, _ = rewrite(capture(model, torch.zeros(1, 3, 8, 8)), "executorch")
    with pytest.raises(UnsupportedOpError, match=r"linalg.*svd.*\b1\b"):
        executorch.lower(new, tmp_path / "a.pte", LowerOptions())


@pytest.mark.parametrize("content", [b"", b"not a program", b"\x00" * 4096])
def test_files_that_are_no_programs(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.pte"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.pte"):
        executorch.open(path)
    with pytest.raises(InputError, match=r"bad\.pte"):
        executorch_coreml.open(path)


def test_a_truncated_program(written: tuple[Path, Coverage], tmp_path: Path) -> None:
    path = tmp_path / "cut.pte"
    path.write_bytes(written[0].read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.pte"):
        executorch.open(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a file"):
        executorch.open(tmp_path / "none.pte")


def test_images_of_another_size_are_refused(written: tuple[Path, Coverage]) -> None:
    with pytest.raises(InputError, match=r"\[N, 32, 32, 3\]"):
        executorch.open(written[0]).embed(np.zeros((1, 16, 16, 3), np.uint8))


SCRIPT = """
import sys, torch, pathlib
sys.path.insert(0, sys.argv[2])
from tests.targets.executorch.test_backend import SIZE, Tiny
from edgekit.graph import capture, rewrite
from edgekit.targets.executorch import backend as executorch
from edgekit.targets.executorch import coreml as executorch_coreml
from edgekit.targets.base import LowerOptions
program = capture(Tiny().eval(), torch.zeros(1, 3, SIZE, SIZE))
folder = pathlib.Path(sys.argv[1])
executorch.lower(rewrite(program, "executorch")[0], folder / "a.pte", LowerOptions())
executorch_coreml.lower(rewrite(program, "coreml")[0], folder / "b.pte", LowerOptions(precision="fp16"))
"""


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder), str(Path(__file__).parents[3])],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert ran.stdout == b""
        digests.append([hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("a.pte", "b.pte")])
    assert digests[0] == digests[1]


@pytest.fixture(scope="module")
def delegate(program: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Coverage]:
    path = tmp_path_factory.mktemp("coreml") / "tiny.pte"
    return path, executorch_coreml.lower(rewrite(program, "coreml")[0], path, LowerOptions(precision="fp16"))


def test_a_core_ml_delegate_holds_the_whole_graph(delegate: tuple[Path, Coverage], module: nn.Module) -> None:
    path, coverage = delegate
    assert coverage.backend == "Core ML" and coverage.partitions == 1 and coverage.delegated == 1.0
    runner = executorch_coreml.open(path)
    assert runner.reference and runner.input_size == (SIZE, SIZE)
    assert (runner.embed(images()) * expected(module)).sum(axis=1).min() > 0.999


def test_a_core_ml_delegate_needs_ml_programs(program: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of 15, 16, 17, 18"):
        executorch_coreml.lower(program, tmp_path / "a.pte", LowerOptions(min_ios=13))


def test_an_xnnpack_program_is_no_core_ml_delegate(written: tuple[Path, Coverage]) -> None:
    with pytest.raises(InputError, match="XnnpackBackend"):
        executorch_coreml.open(written[0])


def blob_of(names: list[str], padding: int = 0, region: tuple[int, int] = (0, 5)) -> bytes:
    """A delegate's bytes with one file of five bytes in folders of these names; `padding` pushes names from the end."""
    nodes = [{"children": {}, "dataRegion": {"offset": region[0], "size": region[1]}, "kind": 0, "name": names[-1]}]
    for index, name in enumerate(reversed(names)):
        nodes.append({"children": {name: index}, "dataRegion": {"offset": 0, "size": 0}, "kind": 1, "name": "d"})
    return b"hello" + json.dumps({"a": " " * padding, "nodes": nodes}).encode()[::-1]


def test_a_delegate_is_unpacked_as_executorch_packs_it(delegate: tuple[Path, Coverage], tmp_path: Path) -> None:
    path = delegate[0]
    blob = executorch_coreml._delegate(path)
    package = executorch_coreml._unpack(blob, tmp_path, path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    executorchcoreml.unflatten_directory_contents(blob, str(theirs))
    original = next(theirs.rglob("*.mlpackage"))
    files = sorted(p.relative_to(original) for p in original.rglob("*") if p.is_file())
    assert len(files) >= 3
    assert files == sorted(p.relative_to(package) for p in package.rglob("*") if p.is_file())
    assert all((package / name).read_bytes() == (original / name).read_bytes() for name in files)


def test_a_small_delegate_is_unpacked(tmp_path: Path) -> None:
    package = executorch_coreml._unpack(blob_of(["a.mlpackage", "file"]), tmp_path, Path("a.pte"))
    assert (package / "file").read_bytes() == b"hello"


@pytest.mark.parametrize(
    "blob",
    [
        *[blob_of(["a.mlpackage", name]) for name in ["/etc/a", "..", ".", "", "a/b", "a\\b", "a\0b", "a\nb", "c:a"]],
        blob_of(["..", "a.mlpackage", "file"], padding=100_000),
        blob_of(["a.mlpackage", "file"], region=(0, 1 << 40)),
        blob_of(["a.mlpackage", "file"], region=(-5, 5)),
        blob_of(["a.mlpackage", "file"], region=(1 << 40, 0)),
        blob_of(["a.mlpackage", "file"])[:-1],
        blob_of(["a.mlpackage", "file"])[30:],
        blob_of(["a"] * 100),
        b"[" * 50_000,
        b"",
    ],
)
def test_a_hostile_delegate_writes_nothing(blob: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match=r"a\.pte holds a Core ML delegate that is damaged or unsafe"):
        executorch_coreml._unpack(blob, folder, Path("a.pte"))
    assert list(tmp_path.rglob("*")) == [folder]


class Recurrent(nn.Module):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.layer = nn.LSTM(3, 4, batch_first=True, bidirectional=True)

    def forward(self, image: Tensor) -> Tensor:
        taken = self.layer(image.flatten(2).transpose(1, 2)[:, : self.steps])[0]
        return nn.functional.normalize(taken.mean(1), dim=1)


def test_a_long_recurrence_is_refused_before_hours_are_spent_on_it(tmp_path: Path) -> None:
    short, long = (
        rewrite(capture(Recurrent(steps).eval(), torch.rand(1, 3, 16, 16)), "executorch")[0] for steps in (3, 65)
    )
    executorch.lower(short, tmp_path / "short.pte", LowerOptions(precision="fp32"))
    with pytest.raises(UnsupportedOpError, match=r"aten\.lstm.*used in layer.*130 steps"):
        executorch.lower(long, tmp_path / "long.pte", LowerOptions(precision="fp32"))
