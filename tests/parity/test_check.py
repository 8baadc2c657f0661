"""The verdict on files that are right, wrong, broken, or compared on nothing worth comparing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgekit.errors import InconclusiveError, InputError, ModelError, ParityError
from edgekit.parity.check import Embed, Reference, check, compare, embed_original
from edgekit.parity.report import ParityReport
from edgekit.recipe.gates import Gates

DIGEST = "0" * 64
FP32, FP16, INT8 = (Gates.for_precision(precision) for precision in ("fp32", "fp16", "int8"))


@dataclass(frozen=True)
class Photo:
    name: str
    label: str | None
    image: np.ndarray


def photos(count: int, *, labelled: bool = True, size: int = 6, seed: int = 0) -> list[Photo]:
    """Pairs of noisy views of random pictures."""
    random = np.random.default_rng(seed)
    scenes = random.integers(0, 256, (count, size, size, 3))
    views = [np.clip(scenes[i // 2] + random.normal(0, 25, scenes[0].shape), 0, 255) for i in range(count)]
    return [
        Photo(f"{i // 2}/{i:03}.png", str(i // 2) if labelled else None, view.astype(np.uint8))
        for i, view in enumerate(views)
    ]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Original:
    """A linear embedder; counts the images it was given and the largest batch."""

    def __init__(self, dim: int = 16, size: int = 6) -> None:
        self.matrix = np.random.default_rng(7).normal(size=(size * size * 3, dim))
        self.images = self.largest = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        self.images += len(pixels)
        self.largest = max(self.largest, len(pixels))
        return unit((pixels.reshape(len(pixels), -1) - 127.5) @ self.matrix)


class File:
    """A written file: the original's embedding and then `change`."""

    runtime = "test-runtime"
    reference = True
    input_size = (6, 6)

    def __init__(self, change=lambda rows: rows, dim: int = 16) -> None:  # type: ignore[no-untyped-def]
        self.original, self.change = Original(dim), change

    def embed(self, images: np.ndarray) -> np.ndarray:
        return self.change(self.original(images))


def held(file: File, original: Embed, pictures: Any, gates: Gates = FP32, **options: Any) -> ParityReport:
    """What a check finds in a file against what the original makes of the same pictures."""
    reference = embed_original(original, pictures)
    return check(file, reference, pictures, gates, dataset="views", digest=DIGEST, **options)


def judge(change, pictures=None, gates: Gates = FP32) -> ParityReport:  # type: ignore[no-untyped-def]
    return held(File(change), Original(), pictures or photos(40), gates)


def noisy(scale: float, seed: int = 3):  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    return lambda rows: unit(rows + scale * random.normal(size=rows.shape))


def test_a_faithful_file_passes() -> None:
    report = judge(lambda rows: rows)
    assert report.verdict == "pass"
    assert report.reasons == []
    assert report.min_cosine == report.mean_cosine == 1.0
    assert report.max_abs_error == 0.0
    assert report.neighbour_overlap == 1.0
    assert report.retrieval and report.retrieval.artifact and report.retrieval.mixed
    assert report.retrieval.task == "listing"
    assert report.retrieval.mixed.at_10 == report.retrieval.original.at_10 > 0.9
    assert report.retrieval.artifact.drop == report.retrieval.mixed.drop == 0.0
    assert (report.runtime, report.reference, report.dim) == ("test-runtime", True, 16)
    report.raise_for_verdict()


def test_figures_are_in_image_order_and_the_worst_is_named() -> None:
    pictures = photos(40)
    pixels = np.stack([picture.image for picture in pictures])
    wrong = Original()(pixels[23:24])

    def change(rows: np.ndarray) -> np.ndarray:
        hit = np.all(np.abs(rows - wrong) < 1e-6, axis=1, keepdims=True)
        return np.where(hit, unit(rows + 0.1 * np.eye(16)[0]), rows).astype(np.float32)

    report = judge(change, pictures)
    assert [entry.name for entry in report.cosines] == [picture.name for picture in pictures]
    assert report.worst_image == pictures[23].name
    assert [entry.cosine for entry in report.cosines if entry.cosine != 1.0] == [report.min_cosine]
    assert report.verdict == "fail"
    with pytest.raises(ParityError, match=r"min cosine 0\.99\d+ \(11/023\.png\) is below 0\.9999 \(40 images of views"):
        report.raise_for_verdict(allow_inconclusive=True)


@pytest.mark.parametrize(
    ("scale", "fp32", "fp16"), [(1e-4, "pass", "pass"), (6e-3, "fail", "pass"), (0.1, "fail", "fail")]
)
def test_each_precision_has_its_gate(scale: float, fp32: str, fp16: str) -> None:
    assert judge(noisy(scale), gates=FP32).verdict == fp32
    assert judge(noisy(scale), gates=FP16).verdict == fp16


def test_a_recipe_states_its_own_limits() -> None:
    lenient = Gates.for_precision("fp16", min_cosine=0.5, max_recall_drop=50)
    assert judge(noisy(0.1), gates=lenient).verdict == "pass"
    assert lenient.max_norm_error == FP16.max_norm_error
    assert Gates() == FP32


def test_lost_neighbours_fail_though_every_cosine_is_near() -> None:
    """Images so alike that a small error mixes them up: only recall sees it."""
    random = np.random.default_rng(0)
    base = unit(random.normal(size=(1, 16)))
    original = unit(np.repeat(base + 0.02 * random.normal(size=(100, 16)), 2, axis=0) + 1e-4)
    names = [str(index) for index in range(200)]
    reference = Reference(names, [str(index // 2) for index in range(200)], original)
    artifact = unit(original + 0.015 * random.normal(size=original.shape))
    gates = Gates(min_cosine=0.98)
    report = compare(artifact, reference, gates, dataset="x", digest=DIGEST, runtime="r", stand_in=False)
    assert report.min_cosine and report.min_cosine > 0.98
    assert report.verdict == "fail"
    assert report.retrieval and report.retrieval.artifact
    drop = 100 * (report.retrieval.original.at_10 - report.retrieval.artifact.at_10)
    assert report.retrieval.artifact.drop == pytest.approx(drop, abs=0.02)
    assert any("artifact recall@10 drops" in reason and "200 queries" in reason for reason in report.reasons)


def test_a_rotated_space_finds_its_own_but_fails_in_the_originals_gallery() -> None:
    """The phone that asks the server: alone the file is perfect, its queries find nothing there."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    report = judge(lambda rows: unit(rows @ rotation), gates=Gates(min_cosine=1e-9))
    assert report.retrieval and report.retrieval.artifact
    assert report.retrieval.artifact.drop == 0.0
    assert report.retrieval.mixed.drop and report.retrieval.mixed.drop > 10
    assert any(reason.startswith("mixed recall@10 drops") for reason in report.reasons)


def test_of_few_queries_not_one_may_be_lost_and_of_many_half_a_point() -> None:
    def mixed_reasons(count: int, lost: int) -> list[str]:
        original = unit(np.repeat(np.random.default_rng(0).normal(size=(count // 2, 64)), 2, axis=0))
        names, labels = [str(index) for index in range(count)], [str(index // 2) for index in range(count)]
        artifact = original.copy()
        artifact[: 2 * lost : 2] *= -1  # the farthest from its like in the original's gallery
        reference = Reference(names, labels, original)
        gates = Gates(min_cosine=1e-9)
        report = compare(artifact, reference, gates, dataset="x", digest=DIGEST, runtime="r", stand_in=False)
        return [reason for reason in report.reasons if reason.startswith("mixed")]

    assert mixed_reasons(40, 0) == []
    (one,) = mixed_reasons(40, 1)
    assert "one query: give more images" in one
    assert mixed_reasons(400, 2) == []
    (several,) = mixed_reasons(400, 3)
    assert "one query" not in several


def test_without_labels_each_image_must_find_itself() -> None:
    report = judge(lambda rows: rows, photos(30, labelled=False))
    assert report.retrieval and report.retrieval.task == "self"
    assert report.retrieval.artifact is None
    assert (report.retrieval.queries, report.retrieval.gallery) == (30, 30)
    assert report.retrieval.mixed.at_1 == report.retrieval.original.at_1 == 1.0
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    broken = judge(lambda rows: unit(rows @ rotation), photos(30, labelled=False))
    assert any(reason.startswith("mixed recall@10") for reason in broken.reasons)


def test_images_without_a_label_are_distractors_only() -> None:
    pictures = photos(20)
    mixed = [*pictures, Photo("stray", None, pictures[0].image), Photo("other", None, pictures[1].image)]
    report = judge(lambda rows: rows, mixed)
    assert report.retrieval and report.retrieval.queries == 20
    assert report.retrieval.gallery == 21


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_fail(bad: float) -> None:
    def change(rows: np.ndarray) -> np.ndarray:
        rows = rows.copy()
        rows[-1, 3] = bad
        return rows

    report = held(File(change), Original(), photos(8), batch=4)
    assert report.verdict == "fail"
    assert report.worst_image == "1/003.png"
    assert [entry.cosine for entry in report.cosines].count(None) == 2
    assert "NaN or infinity" in report.reasons[0]
    json.loads(report.to_json(), parse_constant=lambda text: pytest.fail(text))


def test_rows_that_are_not_unit_length_fail() -> None:
    report = judge(lambda rows: rows * np.float32(1.01))
    assert report.min_cosine == 1.0
    assert report.max_norm_error == pytest.approx(0.01, abs=1e-5)
    with pytest.raises(ParityError, match=r"length is 0\.01 off 1, more than 0\.0001"):
        report.raise_for_verdict()


def constant(rows: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(len(rows))
    return unit(np.ones((len(rows), 16)) + 1e-6 * random.normal(size=(len(rows), 16)))


def collapsed(rows: np.ndarray) -> np.ndarray:
    first, second = np.eye(16)[:2]
    return unit(first + rows[:, :1] * second + 1e-4 * rows)


@pytest.mark.parametrize(("flatten", "word"), [(constant, "hardly vary"), (collapsed, "one line")])
def test_an_original_that_says_nothing_is_inconclusive(flatten, word: str) -> None:  # type: ignore[no-untyped-def]
    original = Original()
    report = held(File(flatten), lambda pixels: flatten(original(pixels)), photos(40))
    assert report.verdict == "inconclusive"
    assert word in report.reasons[0]
    with pytest.raises(InconclusiveError, match=word):
        report.raise_for_verdict()
    report.raise_for_verdict(allow_inconclusive=True)


def elongated(rows: np.ndarray) -> np.ndarray:
    """Mostly along one line, and beside it by more than the cosine gate lets pass."""
    first, second = np.eye(16)[:2]
    return unit(first + rows[:, :1] * second + 0.1 * rows)


def test_one_main_direction_does_not_hide_what_varies_beside_it() -> None:
    original = Original()

    def flattened(rows: np.ndarray) -> np.ndarray:
        first, second = np.eye(16)[:2]
        return unit(first + rows[:, :1] * second)

    for change, verdict in ((elongated, "pass"), (flattened, "fail")):
        report = held(File(change), lambda pixels: elongated(original(pixels)), photos(40))
        assert report.dimensions is not None and report.dimensions < 1.5
        assert report.verdict == verdict, report.reasons


def test_a_wrong_file_of_a_flat_original_still_fails() -> None:
    original = Original()
    report = held(File(lambda rows: -constant(rows)), lambda pixels: constant(original(pixels)), photos(20))
    assert report.verdict == "fail"
    with pytest.raises(ParityError):
        report.raise_for_verdict(allow_inconclusive=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.floats(0.0, 0.3), st.sampled_from([FP32, FP16, INT8]), st.integers(0, 99))
@example(2, 0.03125, FP16, 0)
@example(2, 0.25, INT8, 2)
def test_a_constant_answer_never_passes(count: int, width: float, gates: Gates, seed: int) -> None:
    """Whatever cone the original's embeddings lie in, a file that ignores its image does not get through."""
    random = np.random.default_rng(seed)
    original = unit(random.normal(size=(1, 32)) + width * random.normal(size=(count, 32)))
    artifact = np.repeat(unit(original.mean(axis=0, keepdims=True)), count, axis=0)
    reference = Reference([str(index) for index in range(count)], [None] * count, original)
    report = compare(artifact, reference, gates, dataset="x", digest=DIGEST, runtime="r", stand_in=False)
    assert report.verdict != "pass"


def test_limits_that_a_constant_answer_keeps_are_inconclusive() -> None:
    lost = Gates(min_cosine=1e-9, max_recall_drop=100)
    assert judge(lambda rows: rows, gates=lost).verdict == "inconclusive"


def test_one_image_is_inconclusive() -> None:
    report = judge(lambda rows: rows, photos(1))
    assert report.verdict == "inconclusive"
    assert report.neighbours is None


def test_another_models_embedding_is_named() -> None:
    with pytest.raises(
        ParityError, match="embedding has 12 values, the original 16; give the model that it was exported from"
    ):
        held(File(dim=12), Original(), photos(4))
    with pytest.raises(ParityError, match=r"shape \[2\] for 2 images"):
        held(File(lambda rows: rows[:, 0]), Original(), photos(2))


def test_one_pass_of_the_original_serves_many_files() -> None:
    original, pictures = Original(), photos(30)
    reference = embed_original(original, pictures, batch=4)
    assert (original.images, original.largest) == (30, 4)
    reports = [
        check(File(change), reference, pictures, FP32, dataset="views", digest=DIGEST)
        for change in (lambda rows: rows, noisy(0.1))
    ]
    assert [report.verdict for report in reports] == ["pass", "fail"]
    assert original.images == 30
    assert reports[0] == check(File(), reference, iter(pictures), FP32, dataset="views", digest=DIGEST)


def test_images_that_changed_between_two_readings_are_refused() -> None:
    reference = embed_original(Original(), photos(6))
    with pytest.raises(InputError, match="changed between two readings"):
        check(File(), reference, photos(8), FP32, dataset="views", digest=DIGEST)


class Streamed:
    """Pictures that exist one at a time, like a folder that skips a corrupt one."""

    def __init__(self, pictures: list[Photo]) -> None:
        self.pictures, self.skipped = pictures, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return len(self.pictures) + 1

    def __iter__(self) -> Iterator[Photo]:
        self.skipped = [("broken.png", "truncated")]
        yield from self.pictures


def test_skipped_images_are_counted_and_progress_told() -> None:
    told: list[tuple[int, int]] = []
    pictures = Streamed(photos(10))
    report = held(File(), Original(), pictures, batch=4, progress=lambda done, total: told.append((done, total)))
    assert (report.dataset.images, report.dataset.skipped) == (10, 1)
    assert told == [(4, 11), (8, 11), (10, 11)]


def test_no_image_and_a_wrong_size_are_input_errors() -> None:
    with pytest.raises(InputError, match="no image"):
        embed_original(Original(), [])
    with pytest.raises(InputError, match=r"uint8 \[5, 5, 3\], the file takes uint8 \[6, 6, 3\]"):
        held(File(), Original(size=5), photos(2, size=5))


def test_an_original_that_gives_nan_is_a_model_error() -> None:
    with pytest.raises(ModelError, match=r"embedding of 0/000\.png holds NaN"):
        embed_original(lambda pixels: np.full((len(pixels), 4), np.nan), photos(2))


def test_the_report_is_what_its_schema_says_and_reads_back() -> None:
    for change in (lambda rows: rows, noisy(0.1), lambda rows: rows * np.nan):
        report = judge(change)
        jsonschema.validate(json.loads(report.to_json()), ParityReport.model_json_schema())
        assert ParityReport.model_validate_json(report.to_json()) == report
    assert json.loads(report.to_json())["schema"] == "edgekit.parity/1"
    assert judge(lambda rows: rows).to_json() == judge(lambda rows: rows).to_json()
