"""ONNX Runtime on an emulated x86 CPU with AVX2 and no VNNI: it saturates as simulated, and our session does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PRODUCTS = """
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper
from edgekit.targets.onnx.session import saturates, session_options
from tests.targets.onnx.saturation import in_16_bits

assert saturates()
rng = np.random.default_rng(0)
plain = onnxruntime.SessionOptions()
plain.intra_op_num_threads = 1
for count, inputs, outputs in ((1, 192, 50), (7, 33, 20), (5, 384, 64)):
    x = rng.integers(100, 256, (count, inputs)).astype(np.uint8)
    w = rng.integers(-127, 128, (inputs, outputs)).astype(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    cut, whole = (
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for options in (plain, session_options(1))
    )
    exact = x.astype(np.int64) @ w.astype(np.int64)
    assert np.array_equal(whole, exact)
    assert np.array_equal(cut, in_16_bits(x, w.T)) and not np.array_equal(cut, exact)
"""


def test_products_without_vnni() -> None:
    emulator = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.fail("qemu-x86_64-static is not installed, which this test needs: apt-get install qemu-user-static")
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *filter(None, sys.path)])
    command = [emulator, "-cpu", "EPYC-Rome", "-E", f"PYTHONPATH={paths}", os.path.realpath(sys.executable)]
    done = subprocess.run([*command, "-c", PRODUCTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
