"""Documents read back, equal ones have equal bytes, and a bad one is refused in one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from edgekit.errors import InputError, OutputError
from edgekit.support.documents import Document, Part, mistake_in


class Side(Part):
    pixels: int = Field(ge=1)
    share: float = 1.0


class Note(Document):
    ADVICE: ClassVar[str] = "write it again"

    schema_: Literal["edgekit.note/1"] = Field(default="edgekit.note/1", alias="schema")
    name: str
    sides: tuple[Side, ...] = ()


NOTE = Note(name="größe", sides=(Side(pixels=3),))


def test_a_document_reads_back_and_equal_ones_have_equal_bytes(tmp_path: Path) -> None:
    path = NOTE.write(tmp_path / "note.json")
    assert Note.read(path) == NOTE
    assert path.read_text(encoding="utf-8") == NOTE.to_json() == NOTE.model_copy(deep=True).to_json()
    assert list(json.loads(NOTE.to_json())) == ["schema", "name", "sides"]
    assert "größe" in NOTE.to_json() and NOTE.to_json().endswith("}\n")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "edgekit.note/2"}, "schema is 'edgekit.note/2', only 'edgekit.note/1' can be read"),
        ({"name": 3}, "not a valid note (name: input should be a valid string); write it again"),
        ({"other": 1}, "(other: extra inputs are not permitted)"),
        ({"sides": [{"pixels": 0}]}, "(sides.0.pixels: input should be greater than or equal to 1)"),
        ({"sides": [{"pixels": 1, "share": "1"}]}, "(sides.0.share: input should be a valid number)"),
        ({"name": "\ud800"}, "not a valid note ("),
    ],
)
def test_a_bad_document_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "note.json"
    path.write_text(json.dumps(json.loads(NOTE.to_json()) | change))
    with pytest.raises(InputError) as caught:
        Note.read(path)
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_object_or_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="schema is 'None'"):
        Note.read(tmp_path / "list.json")
    with pytest.raises(InputError, match="more than is read"):
        Note.content(NOTE.write(tmp_path / "note.json"), max_bytes=8)


def test_a_document_holds_no_number_that_json_lacks_and_does_not_change() -> None:
    for share in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Side(pixels=1, share=share)
    with pytest.raises(ValidationError, match="frozen"):
        NOTE.name = "other"  # type: ignore[misc]


def test_a_document_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/note\.json"):
        NOTE.write(tmp_path / "missing" / "note.json")


def test_a_mistake_of_no_field_is_the_whole_documents() -> None:
    with pytest.raises(ValidationError) as caught:
        Side.model_validate(3)
    assert mistake_in(caught.value, "the side").startswith("the side: input should be")
    assert mistake_in(caught.value).startswith("input should be")


def test_the_name_of_a_field_that_a_document_chose_does_not_fill_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_text(json.dumps({"schema": "edgekit.note/1", "name": "a", "b\n" * 5000: 1}))
    with pytest.raises(InputError) as caught:
        Note.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
