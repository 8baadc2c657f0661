"""edgekit_bench on this machine, with the LiteRT of the ai-edge-litert wheel."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import numpy as np
import pytest

from .harness import ZIG, Case, build, host_library, linear_golden, lite, lite_library, photographs


def test_document_of_a_model(small_lite: Case) -> None:
    started = time.time()
    result = small_lite.run(threads=2).result()
    took_ms = (time.time() - started) * 1000
    assert (result.model.format, result.model.input) == ("litert", (5, 7))
    runtime = result.runtime
    assert (runtime.name, runtime.version, runtime.backend, runtime.threads) == ("litert", None, "XNNPACK", 2)
    times = result.latency_ms
    assert len(times.samples) == 10 and all(0 < sample < took_ms for sample in times.samples)
    assert times.cold_load and times.warm_load and times.first
    assert times.cold_load + times.warm_load + times.first < took_ms
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded
    assert result.check.passed and result.check.images == 4 and result.validity.valid
    assert result.check.min_cosine == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhwc_u8"])
def test_every_layout(small_lite: Case, lites: dict[str, Path], layout: str) -> None:
    golden = linear_golden(layout, small_lite.images, 11)
    case = dataclasses.replace(small_lite, model=lites[layout], layout=layout, golden=golden)
    result = case.run().result()
    assert result.check.passed and result.check.max_abs is not None and result.check.max_abs < 1e-4
    for other in {"nchw", "nhwc", "nhwc_u8"} - {layout}:
        case.run(layout=other).failed(3, f"{layout}.tflite: its input is not", "--layout")


def test_what_runs_is_the_network_that_was_exported(runner: Path, tmp_path: Path) -> None:
    """A real network, whose golden embeddings are those of the interpreter that Python has."""
    import litert_torch
    import torch
    from ai_edge_litert.interpreter import Interpreter

    from tests.toys import tower as toy

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = toy()

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            embedding: torch.Tensor = self.inner(image.permute(0, 3, 1, 2) / 255)
            return embedding

    model = tmp_path / "tower.tflite"
    litert_torch.convert(Last().eval(), (torch.zeros(1, 64, 64, 3),)).export(str(model))
    images = photographs(3, 64, 64)
    interpreter = Interpreter(str(model), num_threads=1)
    golden = []
    interpreter.allocate_tensors()
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].astype(np.float32))
        interpreter.invoke()
        golden.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].copy())
    case = Case(tmp_path, model, images, np.stack(golden), "nhwc", (str(runner),), lite_library(), format="litert")
    result = case.run(threads=2).result()
    assert result.check.passed and result.check.min_cosine == pytest.approx(1, abs=1e-5)


def test_wrong_outputs_are_told(small_lite: Case) -> None:
    case = dataclasses.replace(small_lite, golden=np.roll(small_lite.golden, 1, axis=0))
    assert case.run().result().validity.reasons == ("wrong-output",)


def test_files_that_are_no_model(small_lite: Case) -> None:
    noise = small_lite.folder / "noise.tflite"
    noise.write_bytes(os.urandom(5000))
    dataclasses.replace(small_lite, model=noise).run().failed(3, "noise.tflite: cannot load this model", "LiteRT's")
    empty = small_lite.folder / "empty.tflite"
    empty.touch()
    dataclasses.replace(small_lite, model=empty).run().failed(2, "give a .tflite file")


def test_models_of_other_shapes(small_lite: Case, tmp_path: Path) -> None:
    turned = dataclasses.replace(small_lite, images=photographs(4, 7, 5))
    turned.run().failed(3, "input is not float32 [1,7,5,3]")
    narrow = dataclasses.replace(small_lite, golden=small_lite.golden[:, :10])
    narrow.run().failed(3, "output is not float32 [1,10]")
    two = lite(tmp_path / "two.tflite", "nhwc", (5, 7), 11, outputs=2)
    dataclasses.replace(small_lite, model=two).run().failed(3, "1 inputs and 2 outputs")


def test_libraries_that_are_no_litert(small_lite: Case, small: Case, tmp_path: Path) -> None:
    small_lite.run(library=tmp_path / "absent.so").failed(3, "--library", "does not load", "libLiteRt.so")
    small_lite.run(library=host_library()).failed(3, "is not LiteRT", "it has no LiteRt")
    small.run(library=lite_library()).failed(3, "is not ONNX Runtime")


def test_a_library_of_an_older_litert(small_lite: Case, tmp_path: Path) -> None:
    """Its function that opens a model takes other arguments: it must not be called."""
    source = tmp_path / "old.c"
    source.write_text(
        "void LiteRtCreateModelFromFile(void);\nvoid LiteRtCreateModelFromFile(void) { __builtin_trap(); }\n"
    )
    library = build(tmp_path / "libold.so", ZIG, "-shared", "-fPIC", sources=[source])
    small_lite.run(library=library).failed(3, "is not LiteRT 2.1.6 or newer")


def test_formats(small_lite: Case) -> None:
    for other in ("coreml", "LITERT", "", "tflite"):
        small_lite.run(format=other).failed(2, "--format", "give onnx|litert|executorch")
    small_lite.run(format="onnx").failed(3, "is not ONNX Runtime")


@pytest.mark.slow  # needs gcc
def test_sanitizers_find_nothing(small_lite: Case, sanitized: Path) -> None:
    case = dataclasses.replace(small_lite, command=(str(sanitized),))
    assert case.run(threads=2, iterations=5000).result().check.passed
    case.run(layout="nchw").failed(3)
    case.run(model=case.folder / "inputs.bin").failed(3)
