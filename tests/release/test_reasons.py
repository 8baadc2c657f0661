"""A refusal says its reason, and what to do: an unchanged copy helps only where it is another."""

from __future__ import annotations

import pytest

from edgekit.release.reasons import REASONS, Refused


@pytest.mark.parametrize("reason", REASONS)
def test_each_is_one_line_with_an_advice(reason: str) -> None:
    refused = Refused(reason, "release/web", "line one\nline two")
    said = str(refused)
    assert "\n" not in said
    assert said.startswith(f"release/web: {reason}: ")
    assert (refused.reason, refused.exit_code) == (reason, 7)
    assert len(said.rpartition("; ")[2]) > 10


@pytest.mark.parametrize("reason", ["downgraded", "wrong-name", "wrong-space"])
def test_what_is_whole_but_not_what_was_expected_needs_no_other_copy(reason: str) -> None:
    assert "unchanged copy" not in str(Refused(reason, "release/web"))
