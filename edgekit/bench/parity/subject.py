"""What devices are judged by: the images on this machine's disk, and the embeddings of the original."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgekit.artifact.folder import check_size, find, stated
from edgekit.bench.parity.judge import Subject
from edgekit.bench.parity.parts import Kept, Photos, Pixels, lay_out
from edgekit.bench.preprocessing import steps_of
from edgekit.bench.schema import Model
from edgekit.data.catalog import Catalog
from edgekit.data.datasets import Pictures, a_few, pictures, tell_skipped
from edgekit.data.images import Folder
from edgekit.quantization.schemes import gates_for
from edgekit.recipe import InputSpec, Recipe
from edgekit.support.progress import Reporter
from edgekit.support.threads import one_thread

__all__ = ["Given", "subject"]

_LARGER = 1.25  # than the input, so that scaling has something to do
_QUALITY = 92


@dataclass(frozen=True)
class Given:
    """What to compare with what: an artifact, the model that it is of, a folder of images or None, how many at most,
    whether photos go over as files, and how many bytes at once."""

    artifact: Path
    recipe: Recipe
    images: Path | None
    samples: int
    raw: bool
    part_bytes: int


@contextmanager
def subject(given: Given, facts: Model, reporter: Reporter) -> Iterator[Subject]:
    """The images of a run on disk, for as long as they are needed, and what the original makes of them.

    Raises:
        InputError: the artifact has no manifest, or there is no image that can be used.
        UsageError: the model takes another size of images.
        EdgeKitError: the model cannot be opened.
        OutputError: the disk is full.
    """
    from edgekit.model.build import build

    _, found = find(given.artifact)
    manifest = stated(given.artifact, found)
    embedder = build(given.recipe, reporter)
    spec = embedder.spec
    check_size(given.artifact, manifest, given.recipe.name, spec.size)
    with TemporaryDirectory(prefix="edgekit-") as own, one_thread():
        data = _data(given, spec, Path(own), reporter)
        parts = Path(own) / "parts"
        parts.mkdir()
        kept: Kept = Pixels(data, parts, given.part_bytes)
        if given.raw:
            assert isinstance(data, Folder)
            kept = Photos(data, parts, given.part_bytes, facts, steps_of(spec))
        with reporter.stage(f"embed {len(data)} images with the original") as tick:
            reference, made = lay_out(kept, embedder.embed, spec.size, tick)
        tell_skipped(data, reporter)
        gates = given.recipe.gates.of(gates_for(manifest.precision))
        yield Subject(made, reference, gates, data.name, data.digest())


def _data(given: Given, spec: InputSpec, own: Path, reporter: Reporter) -> Pictures:
    """The images; photos of the catalogue as JPEG files where files are to go over."""
    folder = given.images
    if given.raw and folder is None:
        folder = own / "synthetic catalogue as JPEG files"
        _photograph(folder, given.samples, round(max(spec.size) * _LARGER))
    return a_few(pictures(folder, given.samples, spec, reporter), given.samples)


def _photograph(folder: Path, count: int, size: int) -> None:
    from PIL import Image

    catalog = Catalog(-(-count // 2), 2, size=size, split="test")
    for index in range(count):
        photo = catalog[index]
        path = (folder / photo.name).with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.image).save(path, quality=_QUALITY)
