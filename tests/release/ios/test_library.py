"""The Swift library on Linux, as it is shipped: the verifier on the table of bundles, the embedder on our Core AI."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.release.names import fault_in, first_fault
from edgekit.release.reasons import REASONS
from tests.artifact.conftest import example
from tests.bench_ios_project.harness import facts, linear
from tests.release import craft, mutants
from tests.release.cases import BAD_NAMES
from tests.release.ios.conftest import Library
from tests.release.tampered import ROWS, materialize

pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="module")
def table(library: Library) -> tuple[Path, dict[str, Any]]:
    """The cases for phones, and what the verifier answers to each; one process for all."""
    index = materialize(library.swift.folder("cases-"), phones=True)
    return index, library("verify", index)


def test_the_whole_table(table: tuple[Path, dict[str, Any]]) -> None:
    index, answers = table
    cases = json.loads(index.read_text())["cases"]
    assert {case["case"] for case in cases} == answers.keys() and len(cases) >= 40
    told = {name: answer.get("reason") if "accepted" not in answer else None for name, answer in answers.items()}
    assert not [name for name, answer in answers.items() if "error" in answer]
    assert {name: told[name] for name in told if told[name] != _due(cases, name)} == {}


def _due(cases: list[dict[str, Any]], name: str) -> str | None:
    (reason,) = (case["expected"] for case in cases if case["case"] == name)
    return reason if reason is None else str(reason)


def test_the_table_has_every_reason_that_phones_give(table: tuple[Path, dict[str, Any]]) -> None:
    _, answers = table
    given_reasons = {answer["reason"] for answer in answers.values() if "reason" in answer}
    not_here = {"certificate-refused", "wrong-index", "self-test-failed"}
    assert given_reasons == set(REASONS) - not_here
    assert sum(row.expected is None for row in ROWS) > 5
    for answer in answers.values():
        if "line" in answer:
            assert "\n" not in answer["line"] and answer["line"].startswith(f"{answer['reason']}: ")


@pytest.mark.slow
def test_bundles_changed_at_random_are_told_apart_as_python_does(library: Library) -> None:
    index = mutants.materialize(library.swift.folder("mutants-"), 250)
    answers = library("verify", index)
    said = {name: None if "accepted" in answer else answer.get("reason", "error") for name, answer in answers.items()}
    assert mutants.disagreements(index, said) == []


def _named(library: Library, names: list[str]) -> dict[str, Any]:
    path = library.swift.folder("names-") / "names.json"
    path.write_text(json.dumps(names))
    found: dict[str, Any] = library("names", path)
    return found


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=40))
def test_names_are_judged_as_in_python(library: Library, texts: list[str]) -> None:
    endings = ("CON", "con.txt", "lpt1.", "LPT0", "com", "nul .x", "conin$", "a/CON/b", "a" * 100, "a" * 101, "É", "~")
    names = [*texts, *BAD_NAMES.values(), *endings, *(f"a/{text}/b" for text in texts), " a", "a.", "a b/c"]
    assert _named(library, names)["plain"] == [fault_in(name) is None for name in names]
    for some in (["a/b", "a/B"], ["a", "a/b"], ["a/b", "A/c"], ["a", "a"], ["a/b", "a"], texts):
        fault = first_fault(some)
        assert _named(library, some)["reason"] == (fault and fault.reason)


def _signed_archive(folder: Path) -> tuple[Path, Path]:
    archive = craft.zipped(craft.bundle()).build()
    (folder / "key.pem").write_bytes(craft.pem())
    (folder / "bundle.zip").write_bytes(archive)
    (folder / "bundle.zip.sig").write_bytes(craft.signed(archive))
    return folder / "bundle.zip", folder / "key.pem"


def test_unpacking_replaces_what_was_there(library: Library) -> None:
    folder = library.swift.folder("unpack-")
    archive, key = _signed_archive(folder)
    top, out = f"{craft.NAME}-{craft.VERSION}", folder / "out"
    (out / top).mkdir(parents=True)
    (out / top / "old.txt").write_text("from before")
    answer = library("unpack", archive, key, out)
    assert answer == {"root": top, "models": 0}
    found = {path.relative_to(out / top).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == craft.bundle() and [path.name for path in out.iterdir()] == [top]


def test_nothing_is_unpacked_of_a_tampered_archive(library: Library) -> None:
    folder = library.swift.folder("tampered-")
    archive, key = _signed_archive(folder)
    archive.write_bytes(archive.read_bytes() + b"x")
    seen = [library.swift.seen(path) for path in (archive, key, folder / "out")]
    done = library.swift.run([library.program, "unpack", *seen])
    assert done.returncode == 2 and "file-changed" in done.stderr and not (folder / "out").exists()


def test_the_nearest_of_a_gallery(library: Library) -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(41, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    path = library.swift.folder("search-") / "rows.json"
    path.write_text(json.dumps(rows.tolist()))
    found = library("search", path)
    nearest = (rows[1:] @ rows[0]).reshape(20, 2).max(axis=1)
    order = np.argsort(-nearest)[:3]
    assert found["ids"] == order.tolist()
    assert found["similarities"] == pytest.approx(nearest[order].tolist(), abs=1e-5)
    for case in ("other", "short"):
        assert len(found[case]) == 2 and all("embed both with one version" in line for line in found[case])
    for case in ("nan", "infinite", "zero"):
        assert len(found[case]) == 2 and all("all zeros or not finite" in line for line in found[case])
    assert (found["all"], found["none"], found["empty"]) == (20, 0, 0)
    assert found["twice"] == pytest.approx(1, abs=1e-6)


def _bundle_of_an_asset(folder: Path, change: float = 0.0) -> tuple[np.ndarray, Path, Path]:
    """A signed bundle whose Core AI asset is our own linear model; `change` is added to its golden embeddings."""
    rng = np.random.default_rng(3)
    photo = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    pixels = photo[2:7, 2:9]  # 5 x 7 out of the middle
    embedding = linear(pixels[None], 6) + np.float32(change)
    raw = b"".join(side.to_bytes(4, "little") for side in (12, 9)) + photo.tobytes()
    (folder / "photo.rgb").write_bytes(raw)
    image = b"\x89PNG and so on"
    golden = {
        "schema": "edgekit.golden/1",
        "model": facts(format="coreai"),
        "preprocessing": {
            **{"height": 5, "width": 7, "interpolation": "bicubic", "crop_pct": 5 / 9, "crop_mode": "center"},
            "fill": [0, 0, 0],
        },
        "dim": 6,
        "items": [{"file": "a.png", "orientation": 1, "sha256": hashlib.sha256(image).hexdigest()}],
    }
    asset = json.dumps({"height": 5, "width": 7, "dim": 6}).encode()
    listed = craft.entry("model.aimodel/simulated.json", asset)
    files = {
        "golden/golden.json": json.dumps(golden).encode(),
        "golden/golden.bin": embedding.tobytes(),
        "golden/inputs.bin": pixels.tobytes(),
        "golden/a.png": image,
        "a.png.rgb": raw,
        "s0/model.aimodel/simulated.json": asset,
        "s0/manifest.json": example([listed], artifact="model.aimodel").to_json().encode(),
    }
    about = json.loads(craft.bundle()["bundle.json"])
    about["artifacts"][0] |= {"folder": "s0", "format": "coreai", "golden": "golden"}
    about["files"] = [craft.entry(path, files[path]).model_dump() for path in sorted(files)]
    files["bundle.json"] = json.dumps(about).encode()
    for name, content in (files | {"model.sig": craft.signed(files)}).items():
        (folder / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "bundle" / name).write_bytes(content)
    (folder / "key.pem").write_bytes(craft.pem())
    return embedding[0], folder / "bundle", folder / "key.pem"


def test_a_verified_bundle_embeds_and_passes_its_self_test(library: Library) -> None:
    due, bundle, key = _bundle_of_an_asset(library.swift.folder("embed-"))
    answer = library("embed", bundle, key)
    assert (answer["space"], answer["equal"], answer["photos"]) == (craft.SPACE, True, 1)
    assert (answer["passed"], answer["reason"]) == (True, None)
    cosine = np.dot(answer["values"], due) / math.sqrt(np.dot(due, due) * np.dot(answer["values"], answer["values"]))
    assert cosine > 0.99


def test_a_model_that_gives_other_embeddings_fails_its_self_test(library: Library) -> None:
    _, bundle, key = _bundle_of_an_asset(library.swift.folder("other-"), change=1e4)
    answer = library("embed", bundle, key)
    assert (answer["passed"], answer["reason"]) == (False, "self-test-failed")
