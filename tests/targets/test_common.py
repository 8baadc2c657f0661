from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import UnsupportedOpError
from edgekit.graph import capture, rewrite
from edgekit.targets import LowerOptions, coreml, executorch
from edgekit.targets.common import quiet


def test_what_a_toolchain_says_stays_off_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("toolchain")
    handler = logging.StreamHandler(sys.stderr)  # bound before the redirection, as coremltools' own is
    logger.addHandler(handler)
    try:
        with quiet("toolchain"):
            print("progress 50 %")
            logger.warning("might lose precision")
            warnings.warn("deprecated", stacklevel=1)
        assert capsys.readouterr() == ("", "")
        logger.warning("heard again")
        assert capsys.readouterr().err == "heard again\n"
    finally:
        logger.removeHandler(handler)


class ManyAxes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 2, 2, 2, 2, 2, 2, -1).cumsum(3).reshape(1, -1)


@pytest.mark.parametrize(("rewrites", "lower"), [("coreml", coreml.lower), ("executorch", executorch.lower)])
def test_more_axes_than_a_runtime_takes_are_told_with_their_module(
    rewrites: str, lower: Callable[..., object], tmp_path: Path
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), ManyAxes()).eval()
    program = rewrite(capture(model, torch.zeros(1, 3, 32, 32)), rewrites)[0]
    with pytest.raises(UnsupportedOpError, match=r"(reshape|cumsum).*used in module\.1") as caught:
        lower(program, tmp_path / "file", LowerOptions(precision="fp32"))
    assert "\n" not in str(caught.value)
