"""Every good bundle of the table is accepted, and every tampered one is refused with its reason, by Python here."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edgekit.release.reasons import REASONS, Refused
from edgekit.release.verify import VerifyRequest, verify
from tests.release.cases import Row, put
from tests.release.craft import NAME, pem
from tests.release.tampered import ROWS, materialize


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    path.write_bytes(pem())
    return path


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.encode("ascii", "backslashreplace").decode())
def test_what_a_row_says_comes_of_it(row: Row, key: Path, tmp_path: Path) -> None:
    made = row.make()
    path, _ = put(made, tmp_path / "case")
    before = {str(file) for file in tmp_path.rglob("*")}
    wanted: dict[str, Any] = dict(made.expectations)
    if row.expected is None:
        assert verify(VerifyRequest(path, public_key=key, **wanted)).name == NAME
    else:
        with pytest.raises(Refused) as caught:
            verify(VerifyRequest(path, public_key=key, **wanted))
        assert caught.value.reason == row.expected, caught.value
        assert "\n" not in str(caught.value)
        assert f": {row.expected}: " in str(caught.value)
        assert caught.value.exit_code == 7
    assert {str(file) for file in tmp_path.rglob("*")} == before


def test_the_table_has_every_reason_that_a_bundle_can_have() -> None:
    """Those of releases, certificates and self-tests need more than a tiny bundle; test_verify.py has them."""
    counts = Counter(row.expected for row in ROWS)
    assert set(counts) - {None} == set(REASONS) - {"wrong-index", "certificate-refused", "self-test-failed"}
    assert counts.total() - counts[None] >= 40
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_phones_find_their_cases_as_files(tmp_path: Path) -> None:
    cases = json.loads(materialize(tmp_path / "all").read_text())["cases"]
    for case in cases:
        assert (tmp_path / "all" / case["path"]).exists(), case["case"]
        assert case["expected"] is None or case["expected"] in REASONS
        assert (case["signature"] is None) == (case["expected"] == "unsigned")
    phones = json.loads(materialize(tmp_path / "phones", phones=True).read_text())["cases"]
    assert {case["kind"] for case in phones} == {"folder", "zip"}
    assert [case["case"] for case in phones] == [case["case"] for case in cases if case["phones"]]
