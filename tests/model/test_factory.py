"""A backbone comes from timm or from a user's own callable; what fails there is one line that names it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgekit.errors import ModelError, UsageError
from edgekit.model.factory import from_factory, from_timm
from edgekit.recipe import InputSpec, ModelSpec

CODE = """
import sys
import torch
from torch import nn
def model(width=8): return nn.Linear(width, 2)
def pair(): return nn.Linear(2, 2), "transform"
def text(): return "no module"
def fails(): raise ValueError("no weights here\\n\\nlong story")
def ends(): sys.exit("usage: model.py")
def sees(): assert len(sys.argv) == 1; return nn.Identity()
def halves():
    torch.set_default_dtype(torch.float16)
    return nn.Identity()
ready = nn.Identity()
"""


@pytest.fixture(autouse=True)
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_factories.py").write_text(CODE)
    (tmp_path / "broken_factories.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_factories", raising=False)
    monkeypatch.setattr(sys, "argv", ["edgekit", "export", "--target", "all"])


def made(name: str, **args: object) -> nn.Module:
    return from_factory(ModelSpec(backbone=f"own_factories:{name}", args=args))


def test_a_callable_gives_its_module_alone_in_a_tuple_or_by_name() -> None:
    linear = made("model", width=5)
    assert isinstance(linear, nn.Linear) and linear.in_features == 5
    assert isinstance(made("pair"), nn.Linear)
    assert isinstance(made("ready"), nn.Identity)


def test_it_sees_none_of_the_command_s_arguments_and_sets_no_dtype_for_good() -> None:
    made("sees")
    made("halves")
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("own_factories:fails", ModelError, "raised ValueError: no weights here"),
        ("own_factories:ends", ModelError, "raised SystemExit: usage: model.py"),
        ("own_factories:text", ModelError, "returned str, not a torch.nn.Module"),
        ("own_factories:none", UsageError, "own_factories has no 'none'"),
        ("no_such_factories:model", UsageError, "no module named 'no_such_factories' on the Python path"),
        ("broken_factories:model", ModelError, "importing broken_factories failed: No module named 'no_such_package'"),
    ],
)
def test_what_fails_is_one_line(name: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        from_factory(ModelSpec(backbone=name))
    assert name in str(caught.value) and str(caught.value).endswith(words)


def test_timm_makes_a_model_of_the_size_and_says_what_it_cannot() -> None:
    vit = from_timm(ModelSpec(backbone="test_vit"), InputSpec(size=(64, 96)))
    assert vit(torch.zeros(1, 3, 64, 96)).ndim == 2
    assert isinstance(from_timm(ModelSpec(backbone="test_resnet"), InputSpec(size=(64, 64))), nn.Module)
    with pytest.raises(ModelError, match=r"timm cannot create 'test_vit'.*no_such"):
        from_timm(ModelSpec(backbone="test_vit", args={"no_such": 1}), None)
