"""A package of an environment is found there alone."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from edgekit.runtimes.child import Alone


def test_no_part_of_a_namespace_package_comes_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (("here", "own"), ("there", "foreign")):
        (tmp_path / place / "a_space").mkdir(parents=True)
        (tmp_path / place / "a_space" / f"{name}.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "there"), *sys.path])
    monkeypatch.setattr(sys, "meta_path", [Alone([str(tmp_path / "here")]), *sys.meta_path])
    assert importlib.import_module("a_space.own").__file__ == str(tmp_path / "here" / "a_space" / "own.py")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("a_space.foreign")
    assert importlib.import_module("json") is sys.modules["json"]
