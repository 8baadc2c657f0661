"""Write the page that searches photos by a picture: everything it needs is in one folder, for any web server."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgekit.artifact.folder import find
from edgekit.artifact.manifest import Manifest
from edgekit.artifact.open import Artifact, open_artifact
from edgekit.data.images import load_image, preprocess
from edgekit.embedding.run import DTYPES, Dtype, EmbedRequest, EmbedResult
from edgekit.embedding.sources import open_source
from edgekit.errors import InputError, ParityError, UsageError
from edgekit.report.write import style
from edgekit.support.drafts import scratch
from edgekit.support.fields import AnyPath, Converted, OptionalPath, PathField, check_number, optional_path
from edgekit.support.files import sha256_file, size_of
from edgekit.support.progress import Reporter, Silent
from edgekit.support.staging import staging
from edgekit.support.text import shown
from edgekit.web.document import (
    FILENAME,
    MOST_NEIGHBOURS,
    MOST_PHOTOS,
    PARITY,
    DemoPage,
    Gallery,
    Model,
    Parity,
    Takes,
)
from edgekit.web.gallery import Embedded, Sample, embed_photos, thumbnail_name, write_thumbnails
from edgekit.web.parity import MOST, Timing, as_png, compare
from edgekit.web.runtime import FILES, VERSION, runtime_files

__all__ = ["DemoRequest", "DemoResult", "demo"]

_HERE: Final = Path(__file__).parent / "site"
_COPIED: Final = ("page.js", "embedder.js", "preprocessing.js", "icon.svg")
_MODEL, _CODES, _CHECK, _THUMBS, _ORT = "model.onnx", "gallery.bin", "check.png", "thumbs", "ort"
_FIXED: Final = {"index.html", "page.css", *_COPIED, _MODEL, _CODES, _CHECK, FILENAME, PARITY, f"{_ORT}/LICENSE.txt"}
_MOST_BYTES: Final = 32 << 20  # of demo.json, with names of 10,000 photos
_LONGEST_NAME: Final = 200  # characters
_FLOATS: Final = ("fp32", "fp16")  # what WebGPU runs faster than wasm


@dataclass(frozen=True)
class DemoRequest:
    """Which model searches which photos, and where the page goes."""

    artifact: PathField = Converted(Path)
    photos: Converted[AnyPath, str] = Converted(str)  # as for `edgekit embed`
    out: PathField = Converted(Path, Path("site"))
    title: str | None = None  # the page's heading
    neighbours: int = 12  # that are shown
    dtype: Dtype = "fp16"  # how the gallery's embeddings are stored
    workers: int | None = None  # processes that embed; None: one a core
    runtime: OptionalPath = Converted(optional_path, None)  # ONNX Runtime Web as a .tgz or folder; None: from npm
    verify: bool = True  # in a browser of this machine, where there is one
    allow_unverified: bool = False  # also an artifact that was not verified, or did not pass

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        check_number("neighbours", self.neighbours, 1, MOST_NEIGHBOURS)
        if self.workers is not None:
            check_number("workers", self.workers, 1, 1024)
        if self.dtype not in DTYPES:
            raise UsageError(f"`dtype` is {self.dtype!r}; choose from {', '.join(DTYPES)}", field="dtype")
        photos, out = Path(self.photos), self.out.resolve()
        if photos.is_dir() and (out.is_relative_to(photos.resolve()) or photos.resolve().is_relative_to(out)):
            raise UsageError(f"{self.out}: it and the photos lie in each other; give another `out`", field="out")


@dataclass(frozen=True)
class DemoResult:
    """What was written."""

    out: Path
    photos: int
    bytes: int
    page: DemoPage
    embedded: EmbedResult
    parity: Parity
    timing: Timing | None  # None: no browser ran it


def demo(request: DemoRequest, reporter: Reporter | None = None) -> DemoResult:
    """Write the page; where a Chromium is found, it must embed in it as in Python.

    Raises:
        InputError: the artifact is no ONNX file with a manifest, or the photos cannot be read.
        ParityError: the artifact was not verified or did not pass, or the page differs from Python.
        MissingDependencyError: ONNX Runtime Web cannot be fetched.
        OutputError: `out` holds something else, or cannot be written.
    """
    reporter = reporter or Silent()
    manifest = _manifest_of(request)
    artifact = open_artifact(request.artifact)
    source = open_source(request.photos)
    if len(source) > MOST_PHOTOS:
        raise UsageError(f"{len(source)} photos are more than the {MOST_PHOTOS} that a page searches; give fewer")
    runtime = runtime_files(request.runtime, reporter)
    with staging(request.out, _own_files) as folder, scratch() as aside:
        kept = aside / "photos"
        for new in (folder / _THUMBS, folder / _ORT, kept):
            new.mkdir()
        embedding = EmbedRequest(
            request.photos, artifact.path, aside / "gallery.parquet", request.dtype, request.workers
        )
        embedded = embed_photos(embedding, reporter)
        samples = write_thumbnails(source, embedded.ids, folder / _THUMBS, (MOST, kept), reporter)
        page = _page(request, artifact, manifest, embedded, _write_check(samples[0], artifact, folder))
        _write_files(page, request.title or "Search by picture", artifact, runtime, folder)
        (folder / _CODES).write_bytes(embedded.codes)
        parity, timing = Parity(verdict="unverified", reason="not asked for"), None
        parity.write(folder / PARITY)
        if request.verify:
            parity, timing = compare(folder, artifact, manifest.precision, samples, aside / "profile", reporter)
            parity.write(folder / PARITY)
        size = size_of(folder)
    return DemoResult(request.out, page.gallery.count, size, page, embedded.result, parity, timing)


def _manifest_of(request: DemoRequest) -> Manifest:
    """The artifact's manifest, of an ONNX file that passed."""
    path, manifest = find(request.artifact)
    name = shown(str(path))
    if manifest is None and path.suffix == ".onnx":
        raise InputError(
            f"{name}: has no manifest.json beside it, which says how pictures are prepared; give the folder that "
            "`edgekit export` wrote for the target onnx"
        )
    if manifest is None or manifest.target.format != "onnx":
        raise InputError(f"{name}: browsers run ONNX files alone; export the model for the target onnx")
    verdict = manifest.parity.verdict
    if verdict != "pass" and not request.allow_unverified:
        raise ParityError(
            f"{name}: its manifest says {verdict}, not that it passed; export it again, or take it with "
            "`allow_unverified=True`",
            field="allow_unverified",
        )
    return manifest


def _write_check(sample: Sample, artifact: Artifact, folder: Path) -> np.ndarray:
    """Write a picture that the page embeds first of all; returns Python's embedding float32 [D] of the same file."""
    data = as_png(sample.file.read_bytes(), sample.name)
    (folder / _CHECK).write_bytes(data)
    return artifact.runner.embed(preprocess(load_image(data, name=_CHECK), artifact.spec)[None])[0]


def _page(
    request: DemoRequest, artifact: Artifact, manifest: Manifest, embedded: Embedded, check: np.ndarray
) -> DemoPage:
    about = embedded.result.about
    return DemoPage(
        model=Model(
            name=shown(about.model.name, _LONGEST_NAME),
            precision=manifest.precision,
            bytes=artifact.path.stat().st_size,
            sha256=sha256_file(artifact.path),
        ),
        about=Takes(preprocessing=manifest.preprocessing, input=manifest.input, embedding=manifest.embedding),
        gallery=Gallery(
            count=len(embedded.ids),
            dim=about.dim,
            dtype=about.dtype,
            names=[shown(id, _LONGEST_NAME) for id in embedded.ids],
        ),
        neighbours=request.neighbours,
        check=[float(value) for value in check],
        runtime=VERSION,
        webgpu=manifest.precision in _FLOATS,
    )


def _write_files(page: DemoPage, title: str, artifact: Artifact, runtime: Path, folder: Path) -> None:
    import jinja2

    template = jinja2.Template((_HERE / "index.html.jinja").read_text(encoding="utf-8"), autoescape=True)
    html = template.render(
        title=shown(title, _LONGEST_NAME),
        count=page.gallery.count,
        model=page.model.name,
        precision=page.model.precision,
    )
    (folder / "index.html").write_text(html + "\n", encoding="utf-8")
    own_style = (_HERE / "page.css").read_text(encoding="utf-8")
    (folder / "page.css").write_text(style() + own_style, encoding="utf-8")
    for name in _COPIED:
        shutil.copyfile(_HERE / name, folder / name)
    shutil.copyfile(_HERE / "LICENSE.txt", folder / _ORT / "LICENSE.txt")
    for file in FILES:
        if page.webgpu or not file.webgpu:
            shutil.copyfile(runtime / file.name, folder / _ORT / file.name)
    shutil.copyfile(artifact.path, folder / _MODEL)
    page.write(folder / FILENAME)


def _own_files(folder: Path) -> set[str] | None:
    """The files of a demo that an earlier run wrote, by its demo.json; None where the folder is none."""
    try:
        gallery = DemoPage.content(folder / FILENAME, max_bytes=_MOST_BYTES).get("gallery")
    except InputError:
        return None
    count = gallery.get("count") if isinstance(gallery, dict) else None
    rows = range(min(count, MOST_PHOTOS) if isinstance(count, int) else 0)
    thumbs = {f"{_THUMBS}/{thumbnail_name(row)}" for row in rows}
    return {*_FIXED, *(f"{_ORT}/{file.name}" for file in FILES), *thumbs}
