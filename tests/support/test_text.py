from __future__ import annotations

import pytest

from edgekit.support.text import reason_of


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Expected x\nException raised from f at /pytorch/aten/x.cpp:12 (most recent call first):\nframe #0",
            "Expected x",
        ),
        (
            "FAIL : Load failed:/onnxruntime_src/graph/model.cc:182 onnxruntime::Model::Model(int&&) Bad version: 14",
            "FAIL : Load failed: Bad version: 14",
        ),
        ("[program.cpp:155] Failed to load", "Failed to load"),
        ("E 00:00:00.5 executorch:method.cpp:99] Missing op", "Missing op"),
        ("bad value in /usr/lib/site-packages/torch/nn/x.py, line 4", "bad value in line 4"),
        ("cannot open /data/my models/x.onnx", "cannot open /data/my models/x.onnx"),
        ("see models/mine.py:12 in forward", "see models/mine.py:12 in forward"),
        ("two\n  lines", "two lines"),
        ("", "RuntimeError"),
    ],
)
def test_a_library_s_error_is_one_plain_line(said: str, told: str) -> None:
    assert reason_of(RuntimeError(said)) == told


def test_no_memory_is_said_in_words() -> None:
    assert reason_of(MemoryError()) == "out of memory"
