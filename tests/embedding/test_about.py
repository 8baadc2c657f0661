"""The metadata of a file of embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekit.embedding.about import KEY, About
from tests.embedding.test_file import about


def test_it_is_one_line_of_json_that_comes_back() -> None:
    metadata = about("int8").to_metadata()
    assert b"\n" not in metadata[KEY]
    content = json.loads(metadata[KEY])
    assert list(content) == ["schema", "model", "preprocessing", "dim", "dtype", "scale", "source"]
    assert content["schema"] == "edgekit.embeddings/1"
    assert About.from_metadata(metadata, Path("a.parquet")) == about("int8")
    assert About.from_metadata(None, Path("a.parquet")) is None
    assert About.from_metadata({b"pandas": b"{}"}, Path("a.parquet")) is None


def test_codes_have_a_scale() -> None:
    with pytest.raises(ValidationError, match="int8 has one"):
        About(**about().model_dump(by_alias=False) | {"dtype": "int8"})
