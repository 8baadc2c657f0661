"""Names of files in bundles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.release.names import LONGEST, check_names, fault_in, first_fault

GOOD = (
    "a", "model.onnx", ".hidden", "Sources/Toy/Resources/x.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
    "a b/c", "com", "com10", "console", "auxiliary.txt", "a+b~c@1,2=3;(4)", "x" * 100,
)  # fmt: skip
BAD = (
    "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "./a", "C:/a", "a:b", "a\\b", "a\nb", "a\0b", "a\x7f", "é",
    "mоdel.onnx", "a\u202eb", "a\u0301", "\ufeffa", "a.", "a ", " a", "a./b", "con", "CON", "nul.txt", "a/Com1",
    "lpt9.", "LPT1.bin", "a*", "a?", 'a"', "<a", "a>", "a|b", "x" * 101, "/".join(["y" * 60] * 5), "\ud800", "conin$",
)  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    assert fault_in(name) is None


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    fault = fault_in(name)
    assert fault is not None and fault.reason == "bad-name" and fault.name == name


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("a", "b", "a"), "duplicate-name"),
        (("a", "A"), "name-collision"),
        (("dir/x", "DIR/y"), "name-collision"),
        (("dir", "dir/y"), "name-collision"),
        (("dir/y", "dir"), "name-collision"),
        (("dir/y", "Dir"), "name-collision"),
        (("ok", "../a"), "bad-name"),
    ],
)
def test_names_that_cannot_stand_together(names: tuple[str, ...], reason: str) -> None:
    fault = first_fault(names)
    assert fault is not None and fault.reason == reason
    with pytest.raises(InputError, match="give the file another name"):
        check_names(names, "toy")


def test_names_that_can() -> None:
    assert first_fault(("dir/x", "dir/y", "dirs", "dir.txt")) is None


@given(st.text(max_size=300))
def test_whatever_is_taken_is_plain(name: str) -> None:
    if fault_in(name) is None:
        assert name.isascii() and name.isprintable() and 0 < len(name) <= LONGEST
        assert not {"", ".", ".."} & set(name.split("/")) and not set('\\:*?"<>|') & set(name)
