"""Build edgekit_bench, and run it on a case: a model, images and the embeddings that they must give."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit import __version__
from edgekit.bench.drivers.arm64 import wheels
from edgekit.bench.drivers.arm64.build import build_glue
from edgekit.bench.schema import Result, read_result
from edgekit.targets.executorch.backend import open as open_pte
from edgekit.targets.onnx.backend import open as open_onnx
from tests.waiting import PATIENCE

SOURCES = Path(__file__).parents[2] / "edgekit" / "bench" / "native"
STRICT = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wformat=2"]
DEFINED = ["-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", f'-DEDGEKIT_VERSION="{__version__}"']
RUN_ID = "0123456789abcdef" * 2


def tool(name: str, package: str) -> str:
    """The path of a program; the test fails where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed, which this test needs: apt-get install {package}")
    return found


def build(out: Path, compiler: Sequence[str], *extra: str, sources: Sequence[Path] = ()) -> Path:
    """Compile the runner, or other sources, without a warning."""
    files = [str(path) for path in sources or sorted(SOURCES.glob("*.c"))]
    command = [*compiler, *STRICT, *DEFINED, *extra, "-o", str(out), *files, "-ldl", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return out


def lite_library() -> Path:
    """LiteRT's runtime of the installed ai-edge-litert wheel."""
    import ai_edge_litert

    found = Path(ai_edge_litert.__file__).parent / "libLiteRt.so"
    assert found.is_file(), "this ai-edge-litert wheel has no libLiteRt.so: pip install ai-edge-litert"
    return found


def host_library() -> Path:
    """The runtime of the installed onnxruntime wheel: the one of its libraries that exports OrtGetApiBase."""
    import onnxruntime

    found = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*"))
    assert found, "this onnxruntime wheel has no libonnxruntime.so: pip install onnxruntime"
    return found[0]


@dataclass(frozen=True)
class Run:
    """How a run of edgekit_bench ended."""

    code: int
    stdout: str
    stderr: str
    out: Path

    def result(self) -> Result:
        """Its document, which must satisfy the schema both ways."""
        assert self.code == 0, self.stderr
        assert self.stderr == ""
        document = json.loads(self.out.read_bytes().decode("ascii"), parse_constant=_refuse)
        jsonschema.Draft202012Validator(Result.model_json_schema()).validate(document)
        return read_result(self.out)

    def failed(self, code: int, *told: str) -> None:
        """It must have said one line, with each of the texts in it, and written nothing."""
        assert (self.code, self.stdout) == (code, ""), (self.code, self.stdout, self.stderr)
        assert self.stderr.startswith("edgekit_bench: ") and self.stderr.endswith("\n"), self.stderr
        assert len(self.stderr.splitlines()) == 1, self.stderr
        for text in told:
            assert text in self.stderr
        assert not self.out.exists()
        assert not list(self.out.parent.glob("*.partial"))


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} in the document")


@dataclass(frozen=True)
class Case:
    """A model with images and golden embeddings, and the folder where runs of it write."""

    folder: Path
    model: Path
    images: np.ndarray
    golden: np.ndarray
    layout: str
    command: tuple[str, ...]  # that starts the runner
    library: Path
    environment: dict[str, str] = field(default_factory=dict)
    format: str = "onnx"

    def arguments(self, **changes: object) -> list[str]:
        """The command line of a short run; `min_cosine=0.9` changes an argument, None leaves it out."""
        inputs, golden = self.folder / "inputs.bin", self.folder / "golden.bin"
        self.images.tofile(inputs)
        self.golden.astype("<f4").tofile(golden)
        count, height, width, _ = self.images.shape
        given: dict[str, object] = {
            "format": self.format,
            "model": self.model,
            "library": self.library,
            "inputs": inputs,
            "golden": golden,
            "count": count,
            "height": height,
            "width": width,
            "dim": self.golden.shape[1],
            "layout": self.layout,
            "warmup": 2,
            "iterations": 10,
            "duration": 0,
            "threads": 1,
            "min-cosine": 0.9999,
            "run-id": RUN_ID,
            "model-sha256": hashlib.sha256(self.model.read_bytes()).hexdigest(),
            "out": self.folder / "result.json",
        }
        given |= {key.replace("_", "-"): value for key, value in changes.items()}
        return [text for key, value in given.items() if value is not None for text in (f"--{key}", str(value))]

    def run(self, **changes: object) -> Run:
        """Start the runner and wait for its end."""
        out = Path(str(changes.get("out", self.folder / "result.json")))
        if out.is_file():
            out.unlink()
        return self.start(self.arguments(**changes), out)

    def start(self, arguments: Sequence[str], out: Path) -> Run:
        """Start the runner with just these arguments."""
        done = subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            errors="replace",
        )
        return Run(done.returncode, done.stdout, done.stderr, out)


def linear(
    path: Path,
    layout: str,
    size: tuple[int, int],
    dim: int,
    *,
    tail: Sequence[onnx.NodeProto] = (),
    weights: np.ndarray | None = None,
) -> Path:
    """A small model: random weights on every pixel. `tail` turns `flat` into `embedding`; else they are the same."""
    shape, weights = shape_of(layout, size), weights_of(size, dim) if weights is None else weights
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["flat"]),
        *(tail or [helper.make_node("Identity", ["flat"], ["embedding"])]),
    ]
    kind = TensorProto.UINT8 if layout == "nhwc_u8" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, dim])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def shape_of(layout: str, size: tuple[int, int]) -> list[int]:
    return [1, 3, *size] if layout == "nchw" else [1, *size, 3]


def weights_of(size: tuple[int, int], dim: int) -> np.ndarray:
    """Of a linear model: float32 [3*H*W,dim]."""
    return np.random.default_rng(3).normal(size=(3 * size[0] * size[1], dim)).astype(np.float32) / 100


def linear_golden(layout: str, images: np.ndarray, dim: int) -> np.ndarray:
    """What a linear model of this layout gives for uint8 [N,H,W,3]."""
    taken = images.transpose(0, 3, 1, 2) if layout == "nchw" else images
    flat: np.ndarray = taken.reshape(len(images), -1).astype(np.float32) @ weights_of(images.shape[1:3], dim)
    return flat


def lite(path: Path, layout: str, size: tuple[int, int], dim: int, *, outputs: int = 1) -> Path:
    """The same linear model as LiteRT's converter makes it, without EdgeKit; with `outputs`, the same one often."""
    import litert_torch
    import torch

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.from_numpy(weights_of(size, dim)))

        def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
            embedding = image.to(torch.float32).flatten(1) @ self.weights
            return embedding if outputs == 1 else tuple(embedding * (number + 1) for number in range(outputs))

    dtype = torch.uint8 if layout == "nhwc_u8" else torch.float32
    litert_torch.convert(Linear().eval(), (torch.zeros(*shape_of(layout, size), dtype=dtype),)).export(str(path))
    return path


def pte(path: Path, layout: str, size: tuple[int, int], dim: int) -> Path:
    """The same linear model as ExecuTorch's own tools lower it for XNNPACK, without EdgeKit."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.from_numpy(weights_of(size, dim)))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.to(torch.float32).flatten(1) @ self.weights

    dtype = torch.uint8 if layout == "nhwc_u8" else torch.float32
    exported = torch.export.export(Linear().eval(), (torch.zeros(*shape_of(layout, size), dtype=dtype),))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    path.write_bytes(lowered.buffer)
    return path


def glue_library(folder: Path) -> Path:
    """What the runner opens for `.pte` files, built with g++ beside the libraries of the installed wheel."""
    import executorch

    (package,) = executorch.__path__
    taken = WHEELS["executorch"].members
    for library in Path(package, "lib").glob("*.so"):
        if re.fullmatch(taken, f"executorch/lib/{library.name}"):
            (folder / library.name).symlink_to(library)
    tool("g++", "g++")
    return build_glue(folder, version("executorch"))


def golden_by(model: Path, images: np.ndarray) -> np.ndarray:
    """What ExecuTorch's own Python runtime gives for uint8 [N,H,W,3]."""
    return open_pte(model).embed(images)


def golden_of(model: Path, images: np.ndarray) -> np.ndarray:
    """What the Python runner gives."""
    return open_onnx(model).embed(images)


def photographs(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


WHEELS = {wheel.format: wheel for wheel in wheels.WHEELS}
ZIG = (sys.executable, "-m", "ziglang", "cc")
