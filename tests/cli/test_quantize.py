"""`edgekit quantize`: what may be asked for; tests/quantization has what comes of it."""

from __future__ import annotations

import click

from edgekit.cli.quantize import quantize
from edgekit.quantization.schemes import choices
from tests.conftest import Invoke, one_line


def test_every_scheme_may_be_asked_for() -> None:
    (scheme,) = (param for param in quantize.params if param.name == "scheme")
    assert isinstance(scheme.type, click.Choice)
    assert set(scheme.type.choices) == set(choices())
    assert all(name in str(scheme.to_info_dict()["help"]) for name in scheme.type.choices)


def test_only_a_search_can_be_explained(invoke: Invoke) -> None:
    one_line(invoke("quantize", "--scheme", "w8a8", "--explain"), 2, "--explain is for --scheme auto")
