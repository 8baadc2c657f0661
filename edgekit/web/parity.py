"""The page in a real browser, against Python: both embed the same files, and their embeddings are compared."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from edgekit.artifact.open import Artifact
from edgekit.data.images import load_image, preprocess
from edgekit.errors import ParityError
from edgekit.metrics.retrieval import cosine
from edgekit.support.progress import Reporter, Tick
from edgekit.support.text import reason_of, shown
from edgekit.web.browser import BrowserError, Tab, find_browser, launched
from edgekit.web.document import Case, Parity
from edgekit.web.gallery import Sample

__all__ = ["MIN_COSINE", "MIN_COSINE_LOSSY", "MOST", "Timing", "as_png", "compare", "serving"]

MOST: Final = 32  # photos
MIN_COSINE: Final = 0.9999  # of files that every decoder decodes alike, with a model in float32
MIN_COSINE_LOSSY: Final = 0.999  # of the others, and of models whose steps make of a rounding a jump
_LONGEST: Final = 1024  # pixels of a photo that is saved as PNG
_LOSSLESS: Final = ("PNG", "GIF", "BMP")
_KINDS: Final = (*_LOSSLESS, "JPEG", "WEBP", "AVIF")  # that browsers read, by Pillow's names; JPEG opens MPO
_EMBED: Final = "file => import(new URL('page.js', document.baseURI)).then(page => page.embed(file))"


class Timing(NamedTuple):
    """Medians of milliseconds for one photo in the browser."""

    decode: float
    prepare: float
    run: float


class _File(NamedTuple):
    kind: str
    lossless: bool
    name: str
    path: Path


def as_png(data: bytes, name: str) -> bytes:
    """An image file as an upright PNG of at most _LONGEST pixels, without metadata."""
    from PIL import Image

    image = Image.fromarray(load_image(data, max_side=_LONGEST, name=name))
    image.thumbnail((_LONGEST, _LONGEST))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def compare(
    site: Path, artifact: Artifact, precision: str, samples: Sequence[Sample], profile: Path, reporter: Reporter
) -> tuple[Parity, Timing | None]:
    """Open the site's page in a browser of this machine and let it embed the samples, as PNG and as they are.

    Returns the comparison, whose verdict is "unverified" where there is no browser, and how long the browser took.

    Raises:
        ParityError: the page does not work in the browser, or an embedding is too far from Python's.
    """
    program = find_browser()
    if program is None:
        return Parity(verdict="unverified", reason="no browser found"), None
    files = list(_files(samples))
    try:
        with launched(program, profile) as pipes, serving(site) as address:
            tab = Tab(*pipes)
            browser = str(tab.call("Browser.getVersion")["product"]).replace("Headless", "")
            with reporter.stage(f"embed {len(files)} files in {browser.split('/')[0]}") as tick:
                answers = _ask(tab, f"{address}?backend=wasm", files, tick)
            complaints = list(tab.complaints)
    except (BrowserError, OSError) as error:
        raise ParityError(
            f"the page does not work in {Path(program).name} ({reason_of(error)}); `verify=False` writes it anyway",
            field="verify",
        ) from error
    if complaints:
        raise ParityError(f"the page complains in {browser}: {shown(complaints[0], 200)}", field="verify")
    theirs = np.array([answer["embedding"] for answer in answers], np.float32)
    ours = np.concatenate([_embed(artifact, file) for file in files])
    cases = tuple(_cases(files, cosine(theirs, ours)))
    parity = Parity(verdict="pass", browser=browser, provider=str(answers[0]["provider"]), cases=cases)
    _judge(parity, precision)
    steps = np.median([[answer["ms"][step] for step in Timing._fields] for answer in answers], axis=0)
    return parity, Timing(*map(float, steps))


def _files(samples: Sequence[Sample]) -> Iterator[_File]:
    """Each photo saved as PNG, and its own file where browsers read its kind."""
    for name, file in samples:
        data = file.read_bytes()
        png = file.with_suffix(".png")
        png.write_bytes(as_png(data, name))
        yield _File("photos saved as PNG", True, name, png)
    for name, file in samples:
        if (kind := _kind_of(file)) is not None:
            yield _File(f"{kind} files as they are", kind in _LOSSLESS, name, file)


def _kind_of(file: Path) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=_KINDS) as image:
            return image.format
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        return None  # of another kind, which `load_image` could read


def _ask(tab: Tab, address: str, files: Sequence[_File], tick: Tick) -> list[dict[str, Any]]:
    tab.open(address)
    answers = []
    for number, file in enumerate(files, start=1):
        try:
            answers.append(tab.run_on_file(_EMBED, file.path))
        except BrowserError as error:
            raise BrowserError(f"{file.name}: {error}") from error
        tick(number, len(files))
    return answers


def _embed(artifact: Artifact, file: _File) -> np.ndarray:
    pixels = preprocess(load_image(file.path, name=file.name), artifact.spec)
    return artifact.runner.embed(pixels[None])


def _cases(files: Sequence[_File], cosines: np.ndarray) -> Iterator[Case]:
    for kind in dict.fromkeys(file.kind for file in files):
        own = [place for place, file in enumerate(files) if file.kind == kind]
        worst = min(own, key=lambda place: cosines[place])
        yield Case(
            files=kind,
            images=len(own),
            lossless=files[worst].lossless,
            min_cosine=float(cosines[worst]),
            mean_cosine=float(cosines[own].mean()),
            worst=files[worst].name,
        )


def _judge(parity: Parity, precision: str) -> None:
    for case in parity.cases:
        least = MIN_COSINE if case.lossless and precision == "fp32" else MIN_COSINE_LOSSY
        if not case.min_cosine >= least:
            raise ParityError(
                f"{case.worst} ({case.files}): the cosine of {parity.browser} and Python is {case.min_cosine:.6f}, "
                f"below {least:g}; nothing was written, and `verify=False` writes the page anyway",
                field="verify",
            )


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder on this machine, as `python -m http.server` serves it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
