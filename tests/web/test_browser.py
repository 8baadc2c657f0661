"""The driver: a browser is found or not, and one that ends, hangs or refuses is an error and no endless wait."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgekit.web import browser
from edgekit.web.browser import BrowserError, Tab, find_browser, launched


def test_a_browser_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "_MAC_APPS", ())
    assert find_browser() is None
    program = tmp_path / "google-chrome"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_browser() == str(program)


def test_a_program_that_is_no_browser_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(BrowserError, match="has ended"), launched("/bin/true", tmp_path) as pipes:
        Tab(*pipes)


def test_one_that_says_nothing_is_not_waited_for() -> None:
    (theirs, send), (receive, silent) = os.pipe(), os.pipe()
    try:
        with pytest.raises(BrowserError, match=r"said nothing for 0\.05 seconds"):
            Tab(send, receive, patience=0.05)
    finally:
        for handle in (theirs, send, receive, silent):
            os.close(handle)


def test_a_refusal_is_an_error() -> None:
    (theirs, send), (receive, answers) = os.pipe(), os.pipe()

    def refuse() -> None:
        os.read(theirs, 1 << 16)
        os.write(answers, b'{"method": "Other"}\0{"id": 1, "error": {"message": "no such target"}}\0')

    thread = threading.Thread(target=refuse)
    thread.start()
    try:
        with pytest.raises(BrowserError, match="no such target"):
            Tab(send, receive)
    finally:
        thread.join()
        for handle in (theirs, send, receive, answers):
            os.close(handle)
