"""What tables and JSON of several commands share."""

from __future__ import annotations

import json

import pytest

from edgekit.cli.console import figure, print_facts, print_json


def test_a_figure_that_was_not_taken_is_a_dash() -> None:
    assert (figure(None, 3), figure(0.12345, 3), figure(1.0, 0)) == ("-", "0.123", "1")


def test_json_and_facts_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Größe"})
    assert json.loads(capsys.readouterr().out) == {"name": "Größe"}
    print_facts("Catalogue", {"images": 6})
    text = capsys.readouterr().out
    assert "Catalogue" in text
    assert "images" in text
    assert "6" in text
