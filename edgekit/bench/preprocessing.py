"""Golden vectors for preprocessing on phones: photographs as files, and what Python and the artifact make of them."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from edgekit.artifact.open import open_artifact
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.golden import Golden, model_of
from edgekit.bench.schema import Model, Sha256, Side
from edgekit.data.image_files import LeftOut, readable, scan
from edgekit.data.images import load_image, preprocess
from edgekit.errors import InputError, IntegrityError, ParityError, UsageError
from edgekit.metrics.retrieval import cosine
from edgekit.recipe import InputSpec
from edgekit.support.documents import Document, Part
from edgekit.support.files import sha256_file, size_of
from edgekit.support.progress import Reporter
from edgekit.support.staging import staging
from edgekit.support.text import shown

__all__ = [
    "SCHEMA",
    "Agreement",
    "GoldenFolder",
    "Item",
    "Preprocessing",
    "compare",
    "make",
    "read",
    "steps_of",
    "vectors",
]

SCHEMA: Literal["edgekit.golden/1"] = "edgekit.golden/1"
FILENAME, INPUTS, EMBEDDINGS = (str(CONSTANTS[f"{name}_file"]) for name in ("golden", "inputs", "embeddings"))
PHOTOS = "photos"
ORIENTATIONS = range(1, 9)
MAX_PHOTOS = 64
_ROUNDING = 1e-9  # of sums in float64
_LONGEST = 1024  # pixels of a photo's longer side: enough for every filter to have something to do
_EXIF_ORIENTATION = 0x0112
_FILE = r"^photos/[a-z0-9-]{1,40}\.(jpg|png)$"
_Level = Annotated[int, Field(ge=0, le=255)]


class Preprocessing(Part):
    """What is done to a decoded, upright photo; the words are timm's."""

    height: Side
    width: Side
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"]
    crop_pct: float = Field(gt=0, le=CONSTANTS["max_crop_pct"])
    crop_mode: Literal["center", "squash", "border"]
    fill: tuple[_Level, _Level, _Level] = Field(description="RGB around a photo that is smaller than the input.")


class Item(Part):
    """A photo's file, and how the pixels lie in it."""

    file: Annotated[str, Field(pattern=_FILE)]
    orientation: Annotated[int, Field(ge=1, le=8)] = Field(description="The orientation that its EXIF states.")
    sha256: Sha256


class GoldenFolder(Document):
    """`golden.json`; beside it inputs.bin, uint8 RGB [N,H,W,3], and golden.bin, float32 little-endian [N,dim]."""

    ADVICE: ClassVar[str] = "make it again with `edgekit golden`"
    STYLE: ClassVar[dict[str, Any]] = {"indent": 1}

    schema_: Literal["edgekit.golden/1"] = Field(default=SCHEMA, alias="schema")
    model: Model
    preprocessing: Preprocessing
    dim: Annotated[int, Field(ge=1, le=CONSTANTS["max_dim"])]
    inputs_sha256: Sha256 | None = Field(default=None, description="The hash of inputs.bin; older folders lack it.")
    embeddings_sha256: Sha256 | None = Field(default=None, description="The hash of golden.bin; older folders lack it.")
    items: tuple[Item, ...] = Field(min_length=1, max_length=CONSTANTS["max_golden_items"])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of inputs.bin: images, height, width, channels."""
        return len(self.items), self.preprocessing.height, self.preprocessing.width, 3


@dataclass(frozen=True)
class Agreement:
    """How near somebody's pixels are to the golden ones, over all items.

    `max_levels` of 255, in the file `max_levels_file` (None where all values are the same); `equal` the share of values
    that are the same, rounded down to 0.01 %, so that 1 means all; and the cosine of the embeddings, lowest in `worst`.
    """

    items: int
    max_levels: int
    equal: float
    min_cosine: float
    mean_cosine: float
    worst: str
    max_levels_file: str | None

    def require(self, max_levels: int | None, min_cosine: float) -> None:
        """ParityError where the pixels are further off than `max_levels` or an embedding below `min_cosine`."""
        if not self.min_cosine >= min_cosine - _ROUNDING:  # which is so of NaN too
            mismatch = f"{self.worst}: the embeddings' cosine is {self.min_cosine:.6f}, below {min_cosine:g}"
        elif max_levels is not None and self.max_levels > max_levels:
            mismatch = f"{self.max_levels_file}: a value is {self.max_levels} levels off, more than {max_levels}"
        else:
            return
        raise ParityError(
            f"{mismatch}; compare decoder, orientation, scaling, crop and the order of R, G, B with docs/golden.md"
        )


def make(
    artifact: Path,
    photos: Sequence[Path],
    out: Path,
    reporter: Reporter,
    *,
    orientations: Collection[int] = ORIENTATIONS,
    allow_bare: bool = False,
) -> tuple[GoldenFolder, LeftOut]:
    """Write each photo in these EXIF orientations, as JPEG and PNG, with what `artifact` is to get and to answer.

    Returns that and the images of folders that are left out, of kinds that are not read here.

    Raises:
        EdgeKitError: the artifact or a photo cannot be read, or `out` holds something else.
    """
    with reporter.stage(f"open {artifact.name}"):
        opened = open_artifact(artifact, allow_bare=allow_bare)
    sources, left_out = _sources(photos, out, reporter)
    with staging(out, _own_files) as folder:
        (folder / PHOTOS).mkdir()
        items, images = [], []
        with reporter.stage(f"write {len(sources)} photos") as tick:
            for number, path in enumerate(sources):
                for name, orientation, data in _variants(path, f"{number:03d}"):
                    if orientation not in orientations:
                        continue
                    (folder / PHOTOS / name).write_bytes(data)
                    images.append(preprocess(load_image(data, name=name), opened.spec))
                    digest = sha256_file(folder / PHOTOS / name)
                    items.append(Item(file=f"{PHOTOS}/{name}", orientation=orientation, sha256=digest))
                tick(number + 1, len(sources))
        with reporter.stage(f"embed {len(images)} images"):
            inputs = np.stack(images)
            embeddings = opened.runner.embed(inputs)
        if not np.isfinite(embeddings).all() or not embeddings.any(axis=1).all():
            raise InputError(f"{opened.path}: gives an embedding that is not finite or all zeros; export it again")
        Golden(inputs, embeddings).write(folder / INPUTS, folder / EMBEDDINGS)
        golden = GoldenFolder(
            model=model_of(opened),
            preprocessing=steps_of(opened.spec),
            dim=embeddings.shape[1],
            inputs_sha256=sha256_file(folder / INPUTS),
            embeddings_sha256=sha256_file(folder / EMBEDDINGS),
            items=tuple(items),
        )
        golden.write(folder / FILENAME)
    return golden, left_out


def read(folder: Path) -> GoldenFolder:
    """Read golden.json; InputError says what is wrong with it."""
    path = folder / FILENAME
    return GoldenFolder.of(GoldenFolder.content(path, max_bytes=CONSTANTS["max_golden_bytes"]), path)


def vectors(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The golden pixels uint8 RGB [N,H,W,3] and embeddings float32 [N,D] of a folder.

    Raises:
        InputError: golden.json or the pixels cannot be read.
        IntegrityError: inputs.bin or golden.bin is not the one that was written.
    """
    golden = read(folder)
    _verify(golden, folder)
    embeddings = np.fromfile(folder / EMBEDDINGS, "<f4").reshape(len(golden.items), golden.dim)
    return _pixels(folder / INPUTS, golden.shape), embeddings


def compare(folder: Path, pixels: Path, artifact: Path, *, allow_bare: bool = False) -> Agreement:
    """How near `pixels`, uint8 RGB [N,H,W,3] as a phone's own code made them, are to the golden ones.

    Raises:
        InputError: the folder or `pixels` is not what it should be.
        IntegrityError: the folder's inputs.bin or golden.bin is not the one that was written.
        UsageError: `artifact` is not the one that the golden vectors were made with.
    """
    golden = read(folder)
    _verify(golden, folder)
    opened = open_artifact(artifact, allow_bare=allow_bare)
    if model_of(opened).sha256 != golden.model.sha256:
        raise UsageError(
            f"{opened.path}: the golden vectors in {folder} are of another file ({golden.model.name}); make them again"
        )
    due, given = (_pixels(path, golden.shape) for path in (folder / INPUTS, pixels))
    apart = np.abs(due.astype(np.int16) - given)
    ours, theirs = opened.runner.embed(due), opened.runner.embed(given)
    cosines = cosine(ours, theirs)
    worst, farthest = int(np.argmin(cosines)), int(np.argmax(apart.max(axis=(1, 2, 3))))
    max_levels, same = int(apart.max()), int(np.count_nonzero(apart == 0))
    return Agreement(
        items=len(golden.items),
        max_levels=max_levels,
        equal=same * 10_000 // apart.size / 10_000,
        min_cosine=float(cosines[worst]),
        mean_cosine=float(cosines.mean()),
        worst=golden.items[worst].file,
        max_levels_file=golden.items[farthest].file if max_levels else None,
    )


def _verify(golden: GoldenFolder, folder: Path) -> None:
    count, height, width, channels = golden.shape
    for name, size, sha256 in (
        (INPUTS, count * height * width * channels, golden.inputs_sha256),
        (EMBEDDINGS, count * golden.dim * 4, golden.embeddings_sha256),
    ):
        path = folder / name
        if not path.is_file():
            fault = "missing, or not a file"
        elif (actual := size_of(path)) != size:
            fault = f"{actual} bytes, not the {size} that {FILENAME} says"
        elif sha256 is not None and (digest := sha256_file(path)) != sha256:
            fault = f"sha256 {digest[:12]}..., {FILENAME} says {sha256[:12]}..."
        else:
            continue
        raise IntegrityError(f"{path}: {fault}; the golden folder is damaged, make it again with `edgekit golden make`")


def steps_of(spec: InputSpec) -> Preprocessing:
    """What is done to a photo before a model with this input."""
    red, green, blue = (round(255 * v) for v in spec.mean) if spec.crop_mode == "border" else (0, 0, 0)
    steps = spec.model_dump(include={"interpolation", "crop_pct", "crop_mode"})
    return Preprocessing(height=spec.size[0], width=spec.size[1], fill=(red, green, blue), **steps)


def _sources(photos: Sequence[Path], out: Path, reporter: Reporter) -> tuple[list[Path], LeftOut]:
    """The files, and those of folders, in order, without what an earlier run wrote to `out`; and what is left out."""
    paths: list[Path] = []
    left_out = LeftOut()
    for path in photos:
        if path.is_dir():
            seen = scan(path)
            if seen.left_out.names:
                reporter.note(seen.left_out.line(shown(str(path))))
                left_out += seen.left_out.below(path)
            inside = [path / name for name in seen.names]
            inside = [name for name in inside if not name.resolve().is_relative_to(out.resolve())]
            if not inside:
                raise InputError(f"{shown(str(path))}: holds no image ({' '.join(sorted(readable()))})")
            paths += inside
        else:
            paths.append(path)
    if not paths:
        raise UsageError("no photo is given; name image files, or a folder of them")
    if len(paths) > MAX_PHOTOS:
        raise UsageError(f"{len(paths)} photos are more than {MAX_PHOTOS}, the most that is written; give fewer")
    return paths, left_out


def _variants(path: Path, stem: str) -> Iterator[tuple[str, int, bytes]]:
    """(name, orientation, file): the photo as JPEG lying in each of the eight ways, then as PNG, upright and turned."""
    from PIL import Image

    upright = Image.fromarray(load_image(path, max_side=_LONGEST))
    upright.thumbnail((_LONGEST, _LONGEST))
    pixels = np.asarray(upright)
    for orientation in ORIENTATIONS:
        yield f"{stem}-{orientation}.jpg", orientation, _encode(pixels, orientation, "JPEG")
    for orientation in (1, 6):
        yield f"{stem}-{orientation}.png", orientation, _encode(pixels, orientation, "PNG")


def _encode(upright: np.ndarray, orientation: int, kind: str) -> bytes:
    """The file of which a reader that heeds its EXIF orientation sees `upright`."""
    from PIL import Image

    lying = upright
    if orientation in (2, 3, 6, 7):
        lying = lying[:, ::-1]
    if orientation in (3, 4, 7, 8):
        lying = lying[::-1]
    if orientation in (5, 6, 7, 8):
        lying = lying.transpose(1, 0, 2)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(lying)).save(stream, kind, exif=exif, quality=92)
    return stream.getvalue()


def _pixels(path: Path, shape: tuple[int, int, int, int]) -> np.ndarray:
    due = int(np.prod(shape))
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; give the file of pixels that the app wrote")
    try:
        size = path.stat().st_size
        if size != due:
            raise InputError(f"{path}: has {size} bytes, but uint8 {list(shape)} has {due}; preprocess all items again")
        return np.fromfile(path, np.uint8).reshape(shape)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _own_files(folder: Path) -> set[str] | None:
    try:
        items = GoldenFolder.content(folder / FILENAME).get("items")
    except InputError:
        return None
    names = {str(item.get("file")) for item in items if isinstance(item, dict)} if isinstance(items, list) else set()
    return {FILENAME, INPUTS, EMBEDDINGS, *(name for name in names if re.fullmatch(_FILE, name))}
