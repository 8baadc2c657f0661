"""`protocol.json` is the one source: Kotlin, Swift, C and Python state the same values, and each states them once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from edgekit.bench import schema as s
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.drivers.android.app import STORAGE
from edgekit.bench.drivers.ios import compute_plan
from edgekit.bench.preprocessing import MAX_PHOTOS, GoldenFolder, Preprocessing, _variants
from edgekit.bench.protocol import Accelerator, AppJob, ComputeUnits
from edgekit.data.images import MAX_PIXELS

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "edgekit/release/android/kotlin"
KOTLIN = ROOT / "android_bench/core/src/main/kotlin/dev/edgekit/bench"
EMBEDDER = LIBRARY / "core/dev/edgekit/embedder"
C, SWIFT = ROOT / "edgekit/bench/native", ROOT / "ios_bench"
SHARED = ROOT / "edgekit/release/ios/swift/Shared"
# The file that states the constants of each language, how a line of it looks, and how it spells `max_side`.
LANGUAGES: dict[str, tuple[Path, str, Callable[[str], str]]] = {
    "kotlin": (EMBEDDER / "Protocol.kt", r"^    (?:const )?val (\w+) = (.+)$", str.upper),
    "swift": (
        SHARED / "BenchProtocol.swift",
        r"^    static let (\w+) = (.+)$",
        lambda name: re.sub("_(.)", lambda letter: letter[1].upper(), name),
    ),
    "c": (C / "protocol.h", r"^#define (\w+) (.+)$", str.upper),
}
# What a language has no use for, as its readers and writers are.
NEEDLESS = {
    "kotlin": "compute_plan_schema result_file compute_plan_file max_cores formats compute_units runners reasons",
    "swift": "result_file run_folder_prefix file_name_pattern max_cores max_result_bytes compute_units accelerators "
    "interpolations crop_modes runners reasons",
    "c": "job_schema golden_schema compute_plan_schema job_file inputs_file embeddings_file result_file golden_file "
    "compute_plan_file job_folder run_folder_prefix file_name_pattern max_text max_crop_pct max_pixels "
    "max_golden_items max_job_bytes max_golden_bytes max_photo_bytes max_part_bytes max_result_bytes min_cosine "
    "formats layouts compute_units accelerators interpolations crop_modes runners reasons",
}


def value_of(text: str) -> Any:
    """A literal of Kotlin, Swift or C: a text, a list of texts, or a number."""
    texts = re.findall(r'"([^"]*)"', text)
    if text.startswith(("listOf(", "[")):
        return texts
    return texts[0] if texts else float(text.replace("_", "").removesuffix("L"))


def differences(language: str, source: str) -> dict[str, tuple[Any, Any]]:
    """Constant -> (what the source states, what `protocol.json` says) where they differ; None is missing."""
    _, line, spelled = LANGUAGES[language]
    stated = {name: value_of(value) for name, value in re.findall(line, source, re.M)}
    needless = NEEDLESS[language].split()
    assert set(needless) <= set(CONSTANTS)
    due = {spelled(name): value for name, value in CONSTANTS.items() if name not in needless}
    return {
        name: (stated.get(name), due.get(name))
        for name in sorted(stated.keys() | due.keys())
        if stated.get(name) != due.get(name)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_states_the_same_constants(language: str) -> None:
    assert differences(language, LANGUAGES[language][0].read_text()) == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_edited_and_a_missing_and_an_unknown_constant_are_found(language: str) -> None:
    path, _, spelled = LANGUAGES[language]
    source = path.read_text()
    for name in ("result_schema", "max_side", "max_difference"):
        (statement,) = re.findall(rf"^.*\b{spelled(name)}\b.*\n", source, re.M)
        edited = statement.replace("/1", "/2") if "schema" in name else re.sub(r"\d", "7", statement)
        assert edited != statement
        assert list(differences(language, source.replace(statement, edited))) == [spelled(name)]
        assert differences(language, source.replace(statement, "")) == {spelled(name): (None, CONSTANTS[name])}
        other = statement.replace(spelled(name), "surprise")
        assert list(differences(language, source.replace(statement, statement + other))) == ["surprise"]


def sources() -> list[Path]:
    """What runs on phones, without tests and without the files that state the constants."""
    stating = {path for path, _, _ in LANGUAGES.values()}
    kotlin = [
        path for root in (ROOT / "android_bench", LIBRARY) for path in root.rglob("*.kt") if "test" not in path.parts
    ]
    found = {*kotlin, *C.glob("*.[ch]"), *SWIFT.rglob("*.swift"), *SHARED.parent.rglob("*.swift")} - stating
    return sorted(path for path in found if "build" not in path.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_no_other_source_states_a_constant_again(path: Path) -> None:
    code = re.sub(r"//.*|/\*.*?\*/", "", path.read_text(), flags=re.S if path.suffix in (".c", ".h") else 0)
    texts = {value for value in CONSTANTS.values() if isinstance(value, str) and len(value) > 8}
    assert not [text for text in texts if f'"{text}"' in code or f'"{text}\\"' in code]
    numbers = {float(number.replace("_", "")) for number in re.findall(r"\b\d[\d_]+\b", code)}
    rare = {name: CONSTANTS[name] for name in ("max_side", "max_pixels", "max_duration_s", "max_photo_bytes")}
    assert not [name for name, value in rare.items() if value in numbers]


def test_pythons_words_are_those_of_the_file() -> None:
    documents: tuple[tuple[str, type[BaseModel]], ...] = (
        ("result_schema", s.Result),
        ("job_schema", AppJob),
        ("golden_schema", GoldenFolder),
        ("compute_plan_schema", compute_plan.ComputePlan),
    )
    for schema, model in documents:
        assert get_args(model.model_fields["schema_"].annotation) == (CONSTANTS[schema],)
    assert get_args(ComputeUnits) == tuple(CONSTANTS["compute_units"])
    assert get_args(Accelerator) == tuple(CONSTANTS["accelerators"])
    assert get_args(s.Reason) == tuple(CONSTANTS["reasons"])
    choices: tuple[tuple[str, type[BaseModel], str], ...] = (
        ("formats", AppJob, "format"),
        ("layouts", AppJob, "layout"),
        ("runners", s.Tool, "runner"),
        ("interpolations", Preprocessing, "interpolation"),
        ("crop_modes", Preprocessing, "crop_mode"),
    )
    for words, model, field in choices:
        assert get_args(model.model_fields[field].annotation) == tuple(CONSTANTS[words]), field
    assert CONSTANTS["max_pixels"] == MAX_PIXELS
    assert f"{STORAGE}/{CONSTANTS['run_folder_prefix']}" == "/sdcard/Android/data/dev.edgekit.bench/files/edgekit-"


def test_the_keys_of_a_job_are_those_of_python() -> None:
    keys = set(AppJob.model_json_schema()["properties"])
    assert all(re.fullmatch("[a-z_]+", key) for key in keys)
    kotlin = (KOTLIN / "Job.kt").read_text()
    stated = re.search(r"private val NUMBERS =(.*?)private val OPTIONAL = (.*?)\n", kotlin, re.S)
    assert stated is not None and set(re.findall(r'"([^"]+)"', stated[0])) == keys
    swift = re.search(r"enum Key: .*?\n    }\n", (SWIFT / "Core/Job.swift").read_text(), re.S)
    assert swift is not None
    assert {raw or plain for plain, raw in re.findall(r'case (\w+)(?: = "(\w+)")?', swift[0])} == keys
    facts = re.search(r"private val FACTS = setOf\((.*)\)", (KOTLIN / "Facts.kt").read_text())
    assert facts is not None and set(re.findall(r'"([^"]+)"', facts[1])) == set(s.Model.model_fields)


@pytest.mark.parametrize(
    ("path", "pattern", "words", "count"),
    [
        (SHARED / "ModelFormat.swift", r"enum ComputeUnits: String.*\n    case (.+)", "compute_units", 4),
        (SHARED / "Resize.swift", r"enum Interpolation: String.*\n    case (.+)", "interpolations", 6),
        (SHARED / "Preprocess.swift", r"enum CropMode: String.*\{ case (.+) \}", "crop_modes", 3),
        (SWIFT / "Core/Report.swift", r'reasons\.append\("(.+?)"\)', "reasons", 4),
        (SWIFT / "Core/Report.swift", r'"runner": \.text\("(.+?)"\)', "runners", 1),
        (EMBEDDER / "Filters.kt", r'^    "(\w+)" to Filter', "interpolations", 5),
        (KOTLIN / "Report.kt", r'reasons\.put\("(.+?)"\)', "reasons", 3),
        (KOTLIN / "Job.kt", r'oneOf\("format", "(.+?)", "(.+?)", "(.+?)"\)', "formats", 3),
        (ROOT / "android_bench/app/src/main/kotlin/dev/edgekit/bench/Run.kt", r'report\(.*"(.*?)", h', "runners", 1),
        (C / "report.c", r'\\"runner\\": \\"(.+?)\\"', "runners", 1),
        (C / "report.c", r'"" : "\\"(.+?)\\""', "reasons", 1),
        (C / "ort.c", r'\.format = "(.+?)"', "formats", 1),
        (C / "litert.c", r'\.format = "(.+?)"', "formats", 1),
        (C / "arguments.c", r'\[N\w+\] = "(\w+)"', "layouts", 3),
    ],
)
def test_the_words_of_every_language_are_known(path: Path, pattern: str, words: str, count: int) -> None:
    found = re.findall(pattern, path.read_text(), re.M)
    stated = [
        word for match in found for part in ([match] if isinstance(match, str) else match) for word in part.split(", ")
    ]
    assert len(set(stated)) == count and set(stated) <= set(CONSTANTS[words]), stated


def test_a_golden_folder_has_room_for_every_photo_in_every_form(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (2, 1)).save(tmp_path / "photo.png")
    forms = sum(1 for _ in _variants(tmp_path / "photo.png", "000"))
    assert MAX_PHOTOS * forms <= CONSTANTS["max_golden_items"]
