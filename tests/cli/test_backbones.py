"""`edgekit backbones`: the table, whole or of one family."""

from __future__ import annotations

import json

from edgekit.recipe.backbones import table
from tests.conftest import Invoke, one_line


def test_the_table_lists_every_row(invoke: Invoke) -> None:
    assert [row["name"] for row in json.loads(invoke("backbones", "--json").stdout)] == [row.name for row in table()]
    text = invoke("backbones").stdout
    assert all(row.name in text for row in table())


def test_a_family_is_found_in_any_case(invoke: Invoke) -> None:
    rows = json.loads(invoke("backbones", "--family", "mobilevit", "--json").stdout)
    assert {row["family"] for row in rows} == {"MobileViT"}
    one_line(invoke("backbones", "--family", "nope"), 2, "nope", "EfficientNet")
