from __future__ import annotations

import logging
import sys
import warnings

import pytest

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
