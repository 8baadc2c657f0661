from __future__ import annotations

import time

import pytest

from edgekit.support.text import either, human_size, reason_of, shown


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
        (
            "Load failed: /src/load.h:56 void onnxruntime::Validate(const std::map<int>&, bool) Opset 20 is too new",
            "Load failed: Opset 20 is too new",
        ),
        ("[program.cpp:155] Failed to load", "Failed to load"),
        ("E 00:00:00.5 executorch:method.cpp:99] Missing op", "Missing op"),
        ("bad value in /usr/lib/site-packages/torch/nn/x.py, line 4", "bad value in line 4"),
        ("cannot open /data/my models/x.onnx", "cannot open /data/my models/x.onnx"),
        ("see models/mine.py:12 in forward", "see models/mine.py:12 in forward"),
        ("two\n  lines", "two lines"),
        ("\nthe first paragraph\n\nand a long story", "the first paragraph"),
        ("a\x1b[31m red", "a?[31m red"),
        ("", "RuntimeError"),
    ],
)
def test_a_library_s_error_is_one_plain_line(said: str, told: str) -> None:
    assert reason_of(RuntimeError(said)) == told


def test_no_memory_is_said_in_words() -> None:
    assert reason_of(MemoryError()) == "out of memory"


def test_a_long_reason_is_cut() -> None:
    assert reason_of(RuntimeError("x" * 400)) == "x" * 300
    assert reason_of(RuntimeError("x" * 400), 20) == "x" * 20


@pytest.mark.parametrize("part", ["/a", "1", "a/edgekit/", " \n", "\t "])
def test_a_hostile_file_that_is_quoted_whole_costs_no_time(part: str) -> None:
    started = time.process_time()
    assert len(reason_of(ValueError(f"could not convert string to float: {part * 1_000_000}"))) <= 300
    assert time.process_time() - started < 5


def test_nothing_that_anyone_wrote_steers_a_terminal_or_cannot_be_encoded() -> None:
    assert shown("two\nlines\x1b[31m") == "two?lines?[31m"
    assert shown("caf\udce9") == "caf\\xe9"  # a byte of a name that is no UTF-8
    assert shown("\ud800") == "?"
    assert shown("größe 大") == "größe 大"
    assert len(shown("x" * 400)) == 300 and len(shown("x" * 400, None)) == 400


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (7_340_032, "7.3 MB")],
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert human_size(size) == text
    assert human_size(size * 10**6).split()[1] in ("B", "MB", "GB", "TB")


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [either(names) for names in ([], ["one"], ["one", "two"], ["one", "two", "three"])] == [
        "",
        "one",
        "one and two",
        "one, two and three",
    ]
