"""Fields of requests: they take text, keep what it stands for, and are replaced like any other."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path

import pytest

from edgekit.support.fields import Converted, OptionalPath, PathField, PathsField, optional_path, paths


@dataclass(frozen=True)
class Request:
    files: PathsField = Converted(paths)
    out: PathField = Converted(Path, Path("out"))
    images: OptionalPath = Converted(optional_path, None)


def test_a_field_keeps_what_its_text_stands_for() -> None:
    request = Request(["a", Path("b")], images="photos")
    assert (request.files, request.out, request.images) == ((Path("a"), Path("b")), Path("out"), Path("photos"))
    assert replace(request, files="one").files == (Path("one"),)
    assert replace(request) == request and hash(replace(request)) == hash(request)
    assert Request("a") != Request("b")


def test_what_has_no_default_must_be_given_and_nothing_is_set_later() -> None:
    with pytest.raises(TypeError, match="'files'"):
        Request()
    with pytest.raises(FrozenInstanceError):
        Request("a").out = Path("b")  # type: ignore[misc]
