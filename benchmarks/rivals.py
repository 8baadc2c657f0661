"""Each runtime's own quantizers, with their documented best settings, on the same weights and calibration photos."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import build

from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder
from edgekit.support.quiet import quiet

__all__ = ["TOOLS", "LiteRTFile"]


def _photos(embedder: Embedder, count: int) -> Iterator[np.ndarray]:
    """float32 [1,3,H,W] each, 0-255: the photos that EdgeKit calibrates on."""
    for picture in CatalogPictures(count, embedder.spec, split="train"):
        yield np.ascontiguousarray(picture.image.transpose(2, 0, 1)[None], dtype=np.float32)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), quiet("executorch", native=True):
        warnings.simplefilter("ignore")
        yield


def _onnx(name: str, folder: Path) -> tuple[Embedder, Path]:
    """torch.onnx's file, after ONNX Runtime's own preparation for quantizing."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    embedder = build(name)
    plain, ready = folder / "plain.onnx", folder / "ready.onnx"
    torch.onnx.export(embedder, (embedder.example(),), plain, dynamo=True, external_data=False)
    quant_pre_process(plain, ready, skip_symbolic_shape=True)  # that fails on an Expand of torch.onnx
    return embedder, ready


def ort_static(name: str, path: Path, photos: int, *, method: str = "MinMax") -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self, images: Iterator[np.ndarray]) -> None:
            self.images = images

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {input_name: image}

    with _silent(), tempfile.TemporaryDirectory() as folder:
        import onnx

        embedder, ready = _onnx(name, Path(folder))
        input_name = onnx.load(ready).graph.input[0].name
        quantize_static(
            ready,
            path,
            Reader(_photos(embedder, photos)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
        )


def ort_dynamic(name: str, path: Path, photos: int) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _silent(), tempfile.TemporaryDirectory() as folder:
        _, ready = _onnx(name, Path(folder))
        quantize_dynamic(
            ready, path, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
        )


def xnnpack(name: str, path: Path, photos: int, *, dynamic: bool) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    with _silent(), torch.no_grad():
        embedder = build(name)
        example = (embedder.example(),)
        quantizer = XNNPACKQuantizer()
        quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic))
        prepared = prepare_pt2e(torch.export.export(embedder, example).module(), quantizer)
        for image in _photos(embedder, 1 if dynamic else photos):
            prepared(torch.from_numpy(image))
        program = torch.export.export(convert_pt2e(prepared), example)
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        path.write_bytes(edge.to_executorch().buffer)


@cache
def _coreml(name: str) -> Any:
    import coremltools as ct

    embedder = build(name)
    program = torch.export.export(embedder, (embedder.example(),)).run_decompositions({})
    image = ct.ImageType(name="image", shape=(1, 3, *embedder.spec.size))
    return ct.convert(
        program,
        inputs=[image],
        outputs=[ct.TensorType(name="embedding", dtype=np.float32)],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
    )


def coreml(name: str, path: Path, photos: int, *, bits: int | None) -> None:
    import coremltools.optimize.coreml as cto

    with _silent():
        model = _coreml(name)
        if bits is None:
            settings = cto.OptimizationConfig(cto.OpLinearQuantizerConfig(mode="linear_symmetric"))
            small = cto.linear_quantize_weights(model, settings)
        else:
            settings = cto.OptimizationConfig(cto.OpPalettizerConfig(mode="kmeans", nbits=bits))
            small = cto.palettize_weights(model, settings)
        with tempfile.TemporaryDirectory() as folder:
            small.save(f"{folder}/model.mlpackage")
            shutil.move(f"{folder}/model.mlpackage", path)


def coreai(name: str, path: Path, photos: int, *, bits: int | None) -> None:
    from coreai.runtime import AIModelAssetMetadata
    from coreai_opt.palettization import KMeansPalettizer, KMeansPalettizerConfig
    from coreai_opt.quantization import Quantizer, QuantizerConfig
    from coreai_torch import TorchConverter, get_decomp_table

    with _silent(), torch.no_grad():
        embedder = build(name)
        example = (embedder.example(),)
        if bits is None:
            quantizer = Quantizer(embedder, QuantizerConfig())
            prepared = quantizer.prepare(example)
            with quantizer.calibration_mode():
                for image in _photos(embedder, photos):
                    prepared(torch.from_numpy(image))
            small = quantizer.finalize()
        else:
            palettizer = KMeansPalettizer(embedder, KMeansPalettizerConfig())
            palettizer.prepare(example)
            small = palettizer.finalize()
        program = torch.export.export(small, example).run_decompositions(get_decomp_table())
        TorchConverter().add_exported_program(program).to_coreai().save_asset(path, AIModelAssetMetadata())


class LiteRTFile:
    """A rival's `.tflite` as its user runs it: EdgeKit's own runner refuses to divide integers, which a zero ends."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quiet("ai_edge_litert", native=True):
            self._interpreter: Any = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        (self._image,), (self._embedding,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] images; returns float32 [N,D]."""
        rows = []
        for image in images:
            pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
            scale, zero = self._image["quantization"]
            if scale:
                pixels = np.clip(np.round(pixels / scale) + zero, -128, 127).astype(self._image["dtype"])
            self._interpreter.set_tensor(self._image["index"], pixels)
            self._interpreter.invoke()
            row = self._interpreter.get_tensor(self._embedding["index"])[0]
            scale, zero = self._embedding["quantization"]
            rows.append((row.astype(np.float32) - zero) * scale if scale else row)
        return np.stack(rows)


def litert(name: str, path: Path, photos: int, *, static: bool) -> None:
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe

    with _silent(), tempfile.TemporaryDirectory() as folder:
        embedder, plain = build(name), Path(folder) / "plain.tflite"
        litert_torch.convert(embedder, (embedder.example(),)).export(str(plain))
        rules = recipe.static_wi8_ai8() if static else recipe.dynamic_wi8_afp32()
        small = quantizer.Quantizer(str(plain), rules)
        calibrated = None
        if static:
            images = [{"args_0": image} for image in _photos(embedder, photos)]
            calibrated = small.calibrate({"serving_default": images}, num_threads=1)
        small.quantize(calibrated, enable_progress_report=False).export_model(path)


# File format -> what made a file -> how to make it: (model, path, calibration photos).
TOOLS: dict[str, dict[str, Callable[[str, Path, int], None]]] = {
    "onnx": {
        "ORT static": ort_static,
        "ORT static, entropy": partial(ort_static, method="Entropy"),
        "ORT dynamic": ort_dynamic,
    },
    "executorch": {
        "XNNPACKQuantizer static": partial(xnnpack, dynamic=False),
        "XNNPACKQuantizer dynamic": partial(xnnpack, dynamic=True),
    },
    "coreml": {
        "coremltools 8 bits": partial(coreml, bits=None),
        "coremltools palette, 4 bits": partial(coreml, bits=4),
    },
    "coreai": {
        "coreai-opt 8 bits": partial(coreai, bits=None),
        "coreai-opt palette, 4 bits": partial(coreai, bits=4),
    },
    "litert": {
        "ai-edge-quantizer static": partial(litert, static=True),
        "ai-edge-quantizer dynamic": partial(litert, static=False),
    },
}
