"""Licences of weights: which a release may hold, and the texts that go with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.errors import InputError, UsageError
from edgekit.release.licenses import check_license, identifiers, own_license, spelled, write_licenses


@pytest.mark.parametrize(
    "name",
    [
        "Apache-2.0",
        "apache-2.0",
        "MIT",
        "BSD-3-Clause",
        "CC-BY-4.0",
        "Apache-2.0 OR MIT",
        "(MIT AND CC0-1.0)",
        "apache-2.0 or mit",
        "Apache-2.0 OR CC-BY-NC-4.0",
        "Apache-2.0 WITH LLVM-exception",
        " mit ",
    ],
)
def test_taken(name: str) -> None:
    assert check_license(name, ()) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("CC-BY-NC-4.0", "no commercial use"),
        ("cc-by-nc-sa-4.0", "no commercial use"),
        ("CC-BY-ND-4.0", "no derived works"),
        ("PolyForm-Noncommercial-1.0.0", "no commercial use"),
        ("Apache-2.0 AND CC-BY-NC-4.0", "no commercial use"),
        ("research-only", "research alone"),
        ("apple-ascl", "Apple's"),
        ("cvnets-license", "Apple's"),
        ("other", "says nothing"),
        ("unknown", "says nothing"),
        ("", "says nothing"),
        ("MIT AND (CC-BY-NC-4.0 OR CC-BY-NC-SA-4.0)", "no commercial use"),
        ("CC-BY-NC-4.0 OR my-own", "no commercial use"),
        ("Apache-2.0/MIT", "no identifier of SPDX"),
        ("Apache-2.0 AND", "no identifier of SPDX"),
        ("((((", "no identifier of SPDX"),
        ("Apache", "no identifier of SPDX"),
        ("LicenseRef-Shop", "no identifier of SPDX"),
    ],
)
def test_refused_until_it_is_named(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        check_license(name, ["MIT"])
    assert caught.value.field == "accept_licenses"
    accepted = check_license(name, [name.upper()])
    assert accepted is not None and why in accepted


def test_identifiers_are_spelled_as_spdx_does() -> None:
    assert identifiers("apache-2.0") == ["Apache-2.0"]
    assert identifiers("(mit OR gpl-2.0-only)") == ["MIT", "GPL-2.0-only"]
    assert identifiers("my own") == ["my own"]
    assert spelled(" mit or gpl-2.0-only ") == "MIT OR GPL-2.0-only"
    assert [spelled(name) for name in ("my own", "a/b", "Unknown")] == ["my own", "a/b", "Unknown"]


def test_texts(tmp_path: Path) -> None:
    assert own_license().read_text().lstrip().startswith("Apache License")
    assert write_licenses(tmp_path / "own", "apache-2.0", "toy") == []
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["Apache-2.0.txt", "NOTICE"]
    assert write_licenses(tmp_path / "other", "MIT", "toy.safetensors") == ["MIT"]
    notice = (tmp_path / "other" / "NOTICE").read_text()
    assert "The text of MIT was not at hand" in notice and "toy.safetensors" in notice
    text = tmp_path / "MIT"
    text.write_bytes(b"MIT License\r\nCopyright the authors\r\n")
    assert write_licenses(tmp_path / "given", "MIT", "toy", text) == []
    assert (tmp_path / "given" / "WEIGHTS.txt").read_bytes() == b"MIT License\nCopyright the authors\n"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * ((1 << 20) + 1)])
def test_a_text_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(InputError) as caught:
        write_licenses(tmp_path / "out", "MIT", "toy", tmp_path / "text")
    assert caught.value.field == "license_file"


def test_a_pipe_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        write_licenses(tmp_path / "out", "MIT", "toy", tmp_path / "pipe")
