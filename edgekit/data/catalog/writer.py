"""Write a catalogue to disk: an ImageFolder and a Parquet table of its listings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from edgekit.data.catalog.catalog import Catalog
from edgekit.errors import MissingDependencyError, OutputError, UsageError
from edgekit.support.drafts import draft
from edgekit.support.staging import move

__all__ = ["write_catalog"]

_MARKER = "catalog.json"


def _is_own(folder: Path) -> bool:
    try:
        return "edgekit_catalog" in json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _write_table(catalog: Catalog, file: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            "writing listings.parquet needs pyarrow: run `pip install 'edgekit[catalog]'`"
        ) from error
    rows = []
    for index in range(catalog.listings):
        row = dict(vars(catalog.listing(index)))
        captions = row.pop("captions")
        rows.append(row | {f"caption_{language}": text for language, text in captions.items()})
    parquet.write_table(pa.Table.from_pylist(rows), file)


def write_catalog(catalog: Catalog, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write out/images/<fine category>/<listing>-<photo>.png, out/listings.parquet and out/catalog.json; returns `out`.

    Everything is written beside `out` and renamed at the end. `progress` is called with (photos written, all photos).
    An earlier catalogue in `out` is replaced; any other non-empty folder raises UsageError, a full or unwritable disk
    OutputError.
    """
    out = Path(out)
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is not a folder: choose another place for the catalogue")
    if out.is_dir() and any(out.iterdir()) and not _is_own(out):
        raise UsageError(f"{out} is not empty and not a catalogue: choose another folder or empty it")
    target = out.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft(target.parent, target.name) as part:
            _fill(catalog, part, progress)
            move(part, target)
    except OSError as error:
        raise OutputError(f"cannot write the catalogue to {out}: {error.strerror or error}") from error
    return out


def _fill(catalog: Catalog, part: Path, progress: Callable[[int, int], None] | None) -> None:
    for count, photo in enumerate(catalog, start=1):
        folder = part / "images" / catalog.listing(photo.listing).fine_category.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.image).save(folder / photo.name.replace("/", "-"), compress_level=1)
        if progress is not None:
            progress(count, len(catalog))
    _write_table(catalog, part / "listings.parquet")
    facts = {name: getattr(catalog, name) for name in ("listings", "photos", "seed", "size", "split")}
    facts["sha256"] = catalog.digest()
    (part / _MARKER).write_text(json.dumps({"edgekit_catalog": facts}, indent=2) + "\n", encoding="utf-8")
