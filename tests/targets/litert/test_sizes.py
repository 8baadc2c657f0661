"""What the verifier of LiteRT files works out of an operator's operands: the runtime makes the same of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.errors import EdgeKitError, InputError
from edgekit.targets import LowerOptions
from edgekit.targets.litert import backend as target
from edgekit.targets.litert.draft import Draft, Op, Steps, Tensor
from edgekit.targets.litert.session import interpreter
from edgekit.targets.litert.verify import verified
from edgekit.targets.litert.write import packed
from tests import warm
from tests.targets.conftest import build
from tests.waiting import PATIENCE

SHAPE = (1, 6, 4, 3)
POOL = {"padding": 1, "strideH": 2, "strideW": 1, "filterHeight": 2, "filterWidth": 3}
WINDOW = {"padding": 0, "strideH": 2, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
FLOATS = np.random.default_rng(0)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def floats(*shape: int) -> np.ndarray:
    return FLOATS.standard_normal(shape).astype(np.float32)


# Operator, constants behind the map, the shape of the result, and options.
CASES: dict[str, tuple[str, list[np.ndarray], tuple[int, ...], dict[str, Any]]] = {
    "sum": ("ADD", [floats(4, 1)], SHAPE, {}),
    "reshape": ("RESHAPE", [ints(6, -1)], (6, 12), {}),
    "transpose": ("TRANSPOSE", [ints(0, 3, 1, 2)], (1, 3, 6, 4), {}),
    "pad": ("PAD", [ints(0, 0, 1, 2, 0, 1, 0, 0).reshape(4, 2)], (1, 9, 5, 3), {}),
    "mirror": ("MIRROR_PAD", [ints(0, 0, 2, 1, 1, 1, 0, 0).reshape(4, 2)], (1, 9, 6, 3), {"mode": 0}),
    "mean": ("MEAN", [ints(1, -2)], (1, 3), {"keepDims": False}),
    "kept": ("MEAN", [ints(1, 2)], (1, 1, 1, 3), {"keepDims": True}),
    "slice": ("SLICE", [ints(0, 1, 0, 1), ints(1, 3, -1, 2)], (1, 3, 4, 2), {}),
    "strided": ("STRIDED_SLICE", [ints(0, 1, 0, 0), ints(1, 6, 4, 3), ints(1, 2, 3, 1)], (1, 3, 2, 3), {}),
    "masked": ("STRIDED_SLICE", [ints(0, 1, 3, 0), ints(0, 0, 0, 0), ints(1, 1, -1, 2)], (5, 4, 2),
               {"beginMask": 0, "endMask": 14, "shrinkAxisMask": 1}),
    "gather": ("GATHER", [ints(2, 0).reshape(2, 1)], (1, 6, 4, 2, 1), {"axis": 3, "batchDims": 0}),
    "joined": ("CONCATENATION", [floats(1, 2, 4, 3)], (1, 8, 4, 3), {"axis": 1}),
    "squeeze": ("SQUEEZE", [], (6, 4, 3), {"squeezeDims": [0]}),
    "expanded": ("EXPAND_DIMS", [ints(-1)], (*SHAPE, 1), {}),
    "resized": ("RESIZE_BILINEAR", [ints(3, 5)], (1, 3, 5, 3), {"halfPixelCenters": True}),
    "tiled": ("TILE", [ints(2, 1, 3, 1)], (2, 6, 12, 3), {}),
    "spread": ("BROADCAST_TO", [ints(5, 6, 4, 3)], (5, 6, 4, 3), {}),
    "pooled": ("MAX_POOL_2D", [], (1, 3, 2, 3), POOL),
    "convolved": ("CONV_2D", [floats(5, 3, 2, 3), floats(5)], (1, 3, 4, 5), WINDOW),
    "apart": ("DEPTHWISE_CONV_2D", [floats(1, 3, 2, 6), floats(6)], (1, 3, 4, 6), {**WINDOW, "depthMultiplier": 2}),
    "dense": ("FULLY_CONNECTED", [floats(7, 3), floats(7)], (1, 6, 4, 7), {"keepNumDims": True}),
    "rows": ("FULLY_CONNECTED", [floats(7, 12), floats(7)], (6, 7), {"keepNumDims": False}),
    "product": ("BATCH_MATMUL", [floats(1, 1, 5, 3)], (1, 6, 4, 5), {"adjX": False, "adjY": True}),
}  # fmt: skip


def file_of(name: str, shape: tuple[int, ...] | None = None, **changes: Any) -> bytes:
    """A file of one operator on a map, which says that the result has this shape."""
    kind, constants, right, options = CASES[name]
    constants = changes.pop("constants", constants)
    draft = Draft()
    draft.inputs = [Tensor(SHAPE, "float32", name="image")]
    operands = [*draft.inputs, *(draft.constant(data) for data in constants)]
    draft.outputs = [draft.emit(kind, operands, shape or right, **{**options, **changes})]
    return packed(draft, {}, "")


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_gives_the_size_that_is_worked_out(name: str) -> None:
    content = file_of(name)
    verified(content, Path("case.tflite"))
    made = interpreter(content)
    (detail,) = made.get_output_details()
    assert tuple(detail["shape"]) == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_another_size_than_the_operator_gives_is_refused(name: str) -> None:
    shape = CASES[name][2]
    with pytest.raises(InputError, match="another size"):
        verified(file_of(name, (*shape[:-1], shape[-1] + 1)), Path("case.tflite"))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("reshape", {"constants": [ints(5, 12)]}),
        ("transpose", {"constants": [ints(0, 3, 3, 2)]}),
        ("transpose", {"constants": [ints(0, 3, 1, 9)]}),
        ("pad", {"constants": [ints(0, 0, -1, 2, 0, 1, 0, 0).reshape(4, 2)]}),
        ("pad", {"constants": [ints(0, 0, 2**30, 2**30, 2**30, 1, 0, 0).reshape(4, 2)]}),
        ("mirror", {"constants": [ints(0, 0, 6, 1, 1, 1, 0, 0).reshape(4, 2)]}),
        ("mean", {"constants": [ints(4)]}),
        ("slice", {"constants": [ints(0, 5, 0, 1), ints(1, 3, -1, 2)]}),
        ("strided", {"constants": [ints(0, 1, 0, 0), ints(1, 6, 4, 3), ints(1, 0, 3, 1)]}),
        ("gather", {"constants": [ints(2, 3).reshape(2, 1)]}),
        ("gather", {"axis": 4}),
        ("joined", {"axis": -5}),
        ("resized", {"constants": [ints(2**20, -5)]}),
        ("tiled", {"constants": [ints(2, 1, 2**30, 1)]}),
        ("spread", {"constants": [ints(5, 7, 4, 3)]}),
        ("pooled", {"strideH": 0}),
        ("pooled", {"filterWidth": -1}),
        ("convolved", {"strideW": 0}),
        ("convolved", {"dilationHFactor": 0}),
        ("convolved", {"constants": [floats(5, 3, 2, 3), floats(4)]}),
        ("apart", {"depthMultiplier": 3}),
        ("dense", {"weightsFormat": 1}),
        ("product", {"adjY": False}),
    ],
)
def test_operands_that_do_not_go_together_are_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="damaged or not an embedder") as caught:
        verified(file_of(name, **changes), Path("case.tflite"))
    assert "\n" not in str(caught.value)


def integers(scale: float = 0.5, zero: int = 3, bias: bool = True, dtype: str = "int8") -> bytes:
    """A convolution of integers between two conversions, and a reshape of its result."""
    draft, steps = Draft(), Steps((scale,), zero)
    draft.inputs = [Tensor(SHAPE, "float32", name="image")]
    coded = draft.emit("QUANTIZE", draft.inputs, SHAPE, "int8", steps=steps)
    weight = draft.constant(np.ones((2, 1, 1, 3), np.int8), Steps((0.1, 0.2)))
    added = [draft.constant(ints(1, 2), Steps((0.05, 0.1)))] if bias else []
    shape, options = (1, 6, 4, 2), {**WINDOW, "strideH": 1}
    made = draft.emit("CONV_2D", [coded, weight, *added], shape, "int8", steps=steps, **options)
    flat = draft.emit("RESHAPE", [made, draft.constant(ints(1, 48))], (1, 48), dtype, steps=steps)
    draft.outputs = [Tensor((1, 48), "float32", name="embedding")]
    draft.add(Op("DEQUANTIZE", [flat], draft.outputs))
    return packed(draft, {}, "")


def test_integers_are_looked_at_as_closely() -> None:
    verified(integers(), Path("case.tflite"))
    for content, reason in (
        (integers(zero=128), "no scale"),
        (integers(scale=1e-38), "no scale"),
        (integers(scale=1e35), "no scale"),
        (integers(bias=False), "do not go together"),
        (integers(dtype="uint8"), "another type"),
    ):
        with pytest.raises(InputError, match=reason):
            verified(content, Path("case.tflite"))


def _edit(model: Any, draw: random.Random) -> None:
    """One number of the file's structure becomes another."""
    graph = model.subgraphs[0]
    numbers = [-(2**31), -129, -1, 0, 1, 2, 3, 5, 127, 255, 65535, 2**20, 2**31 - 1]
    operator, tensor = draw.choice(graph.operators), draw.choice(graph.tensors)
    match draw.randrange(6):
        case 0 | 1:  # sizes, axes and amounts
            owner = draw.choice([item for item in graph.tensors if item.type == 2 and item.buffer])
            data = np.frombuffer(bytes(model.buffers[owner.buffer].data), np.int32).copy()
            data[draw.randrange(len(data))] = draw.choice([*numbers, int(data[0]) + 1])
            model.buffers[owner.buffer].data = np.frombuffer(data.tobytes(), np.uint8)
        case 2:
            tensor.shape = [max(1, int(size) + draw.choice((-1, 0, 1, 1000))) for size in tensor.shape]
        case 3:
            fields = vars(operator.builtinOptions) if operator.builtinOptions else {}
            known = [(name, value) for name, value in fields.items() if isinstance(value, int)]
            if known:
                name, value = draw.choice(known)
                taken = not value if isinstance(value, bool) else draw.choice([0, 1, 2, 3, 100])
                setattr(operator.builtinOptions, name, taken)
        case 4:
            operator.inputs = [draw.choice([int(index), draw.randrange(len(graph.tensors)), -1])
                               for index in operator.inputs]  # fmt: skip
        case _:
            operator.opcodeIndex = draw.randrange(len(model.operatorCodes))


def run_edited_files(folder: Path) -> None:
    """Open and run what the verifier lets through of many edits; the runtime may refuse, and this process lives."""
    ran = 0
    for name in ("toy", "integers"):
        content = (folder / f"{name}.tflite").read_bytes()
        for seed in range(150):
            model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
            _edit(model, random.Random(seed))
            builder = flatbuffers.Builder(1024)
            builder.Finish(model.Pack(builder), b"TFL3")
            (folder / "edited.tflite").write_bytes(bytes(builder.Output()))
            (folder / "seed").write_text(f"{name} {seed}")
            try:
                runner = target.open(folder / "edited.tflite")
                runner.embed(np.full((1, *runner.input_size, 3), 100, np.uint8))
                ran += 1
            except EdgeKitError as error:
                assert "\n" not in str(error)
    (folder / "ran").write_text(str(ran))


def test_what_is_let_through_does_not_end_the_process(tmp_path: Path) -> None:
    target.lower(build("litert"), tmp_path / "toy.tflite", LowerOptions())
    (tmp_path / "integers.tflite").write_bytes(integers())
    process = warm.start(run_edited_files, tmp_path)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"{(tmp_path / 'seed').read_text()}: {errors}"
    assert int((tmp_path / "ran").read_text()) > 20  # some edits leave a file that runs
