from __future__ import annotations

from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.quantization.settings import Settings


@pytest.mark.parametrize(
    ("field", "settings", "said"),
    [
        ("scheme", {"scheme": "w2"}, "choose from auto, w8a8, "),
        ("scheme", {"scheme": "float"}, "no scheme 'float'"),
        ("observer", {"observer": "median"}, "choose from minmax, "),
        ("max_size", {"scheme": "w8", "max_size": 0.2}, "palette6 0.19, palette4 0.12"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(field: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Settings(**settings)
    assert caught.value.field == field


def test_a_budget_is_for_the_search() -> None:
    assert Settings(max_size=0.2).scheme == "auto"
