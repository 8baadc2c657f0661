"""What libraries say stays off the terminal, whichever way they say it, and can be had with DEBUG logging."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from edgekit.support.quiet import quiet


def test_what_a_library_says_stays_off_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_what_native_code_says_goes_only_where_that_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet("runtime"):
        os.write(2, b"heard\n")
    with quiet("runtime", native=True):
        os.write(2, b"lost\n")
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard\nheard again\n"


def test_debug_logging_tells_what_was_said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG, "edgekit")
    with quiet("runtime", native=True):
        print("progress 50 %")
        os.write(2, b"heard\n")
    assert "runtime said:\nprogress 50 %" in caplog.messages
    assert "heard" in capfd.readouterr().err
