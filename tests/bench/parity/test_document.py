"""Documents of parity: what passes, what anyone may have written, and the folder that keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.parity.document import Images, label_of, read_parity
from edgekit.bench.parity.store import find_parities, save
from edgekit.bench.results.store import Keeper
from edgekit.bench.schema import Device
from edgekit.errors import InputError, OutputError
from tests.bench.parity.documents import document


def test_what_is_written_is_read(tmp_path: Path) -> None:
    one = document()
    path = save(one, tmp_path / "new" / "results")
    assert path.name.startswith("20260102T030405Z-toy-onnx-aaaaaaaa") and path.name.endswith(".parity.json")
    assert read_parity(path) == one and one.passed
    assert save(one, path.parent) == path
    assert find_parities([tmp_path, path]) == ([one], [])


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("schema", "edgekit.bench/1", "schema is 'edgekit.bench/1'"),
        ("run_id", "a" * 31, "run_id"),
        ("started_utc", "2026-01-02T03:04:05Z\n", "started_utc"),
        ("label", "certified", "label"),
        ("images", {"asked": -1, "received": 3}, "images.asked"),
        ("surprise", 1, "surprise"),
        ("report", None, "report"),
    ],
)
def test_what_is_none_is_one_line(tmp_path: Path, field: str, value: object, told: str) -> None:
    content: dict[str, Any] = json.loads(document().to_json())
    path = tmp_path / "x.parity.json"
    path.write_text(json.dumps(content | {field: value}))
    with pytest.raises(InputError) as refused:
        read_parity(path)
    assert told in str(refused.value) and "\n" not in str(refused.value)
    assert find_parities([tmp_path]) == ([], [str(refused.value)])


def test_a_verdict_is_not_believed_alone() -> None:
    good = document()
    assert good.passed and good.verdict == "pass"
    for change in (
        {"images": Images(asked=4, received=3)},
        {"images": Images(asked=4, received=4)},
        {"report": good.report.model_copy(update={"cosines": good.report.cosines[:2]})},
        {"report": document(cosine=0.5).report.model_copy(update={"verdict": "pass"})},
    ):
        forged = good.model_copy(update=change)
        assert not forged.passed and forged.verdict == "fail"
    inconclusive = good.model_copy(update={"report": good.report.model_copy(update={"verdict": "inconclusive"})})
    assert not inconclusive.passed and inconclusive.verdict == "inconclusive"


def test_what_is_not_known_to_be_real_is_emulated() -> None:
    assert label_of(Device(platform="ios", emulated=False)) == "device"
    assert label_of(Device(platform="android", emulated=None)) == "emulated"
    assert label_of(Device(platform="android", emulated=True)) == "emulated"
    assert label_of(Device(platform="linux", emulated=False)) == "emulated"


def test_a_folder_that_cannot_be_made_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is no folder"):
        Keeper(tmp_path / "file" / "out", save)
    keeper = Keeper(None, save)
    keeper.keep(document())
    assert not keeper.written and not keeper.lost
