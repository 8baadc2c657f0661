"""Running a file imports its runtime, and nothing of what makes files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_CODE = """
import json, os, sys
from edgekit.cli import cli
try:
    cli.main(sys.argv[1:], standalone_mode=False)
except SystemExit as stop:
    assert not stop.code, stop.code
json.dump(sorted(sys.modules), open(os.environ["MODULES"], "w"))
"""
MAKERS = {"timm", "torchvision", "torchao", "transformers", "onnxscript", "onnx", "onnx_ir", "pandas", "sklearn"}
MAKERS |= {"matplotlib", "accelerate", "huggingface_hub", "rich", "edgekit.graph", "edgekit.pipeline"}
MAKERS |= {"edgekit.quantization.plan", "edgekit.distillation"}
MAKERS |= {"executorch.exir", "torch._dynamo", "torch._inductor"}
UNWANTED = {
    "onnx-fp32": MAKERS | {"torch", "executorch", "coremltools", "sympy", "scipy"},
    "android-fp32": MAKERS | {"onnxruntime", "coremltools", "sympy", "scipy"},
    "ios-fp16": MAKERS | {"onnxruntime", "executorch"},
}


def run(place: Path, *args: object) -> tuple[set[str], str]:
    """The modules that a fresh process has in the end, and its stdout; it says nothing else."""
    environment = {**os.environ, "MODULES": str(place / "modules.json")}
    command = [sys.executable, "-c", _CODE, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(json.loads((place / "modules.json").read_text())), done.stdout


@pytest.mark.parametrize("kind", list(UNWANTED))
def test_run_imports_the_runtime_alone_and_says_nothing_else(published: Path, tmp_path: Path, kind: str) -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    modules, told = run(tmp_path, "run", published / f"tests.toys-tower-{kind}", tmp_path / "a.png", "--json")
    assert "embeddings" in json.loads(told)
    assert not modules & UNWANTED[kind]
    assert "PIL.PngImagePlugin" in modules
    assert "PIL.PdfImagePlugin" not in modules


def test_bench_imports_the_runtime_alone(published: Path, tmp_path: Path) -> None:
    options = ("--iterations", 1, "--warmup", 0, "--duration", 0, "--json")
    modules, _ = run(tmp_path, "bench", "run", published / "tests.toys-tower-onnx-fp32", *options)
    assert "onnxruntime" in modules
    assert not modules & UNWANTED["onnx-fp32"]


@pytest.mark.slow
def test_the_exporter_can_be_imported_after_the_runtime() -> None:
    code = """
import sys
from edgekit.targets.executorch.runtime import bindings
runtime = bindings()
assert "executorch.exir" not in sys.modules
assert len(runtime._get_operator_names()) > 100
from executorch.exir import EdgeCompileConfig
from executorch.extension.pybindings import portable_lib
assert portable_lib is runtime is bindings()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
