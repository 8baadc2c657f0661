"""`edgekit golden`: photos with the pixels that are right, and a check of those that an app made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.console import print_facts, print_json
from edgekit.cli.groups import DefaultGroup
from edgekit.cli.options import FOLDER, PATH, Finite, allow_bare, common, reporter_of

if TYPE_CHECKING:
    from edgekit.bench.preprocessing import Agreement, GoldenFolder
    from edgekit.data.image_files import LeftOut

__all__ = ["golden", "golden_check", "golden_make"]


@click.group(cls=DefaultGroup)
def golden() -> None:
    """Check that an app prepares images as the model expects.

    `edgekit golden ARTIFACT PHOTO...` is short for `edgekit golden make`, whose options `edgekit golden make --help`
    lists.

    \b
    edgekit golden exported/catalog-s0-ios-fp16 photos/ --out golden
    edgekit golden check golden app-pixels.bin exported/catalog-s0-ios-fp16
    """


@golden.command("make")
@click.argument("artifact", type=PATH)
@click.argument("photos", type=PATH, nargs=-1, required=True, metavar="PHOTO...")
@click.option("--out", type=FOLDER, metavar="DIR", default=Path("golden"), help="Folder to write to.")
@allow_bare
@common
def golden_make(
    artifact: Path, photos: tuple[Path, ...], out: Path, allow_bare: bool, as_json: bool, quiet: bool
) -> None:
    """Write photos in every EXIF orientation, with the correct pixels and embeddings for ARTIFACT.

    PHOTO is an image file, or a folder of them.
    """
    from edgekit.bench import preprocessing

    vectors, left_out = preprocessing.make(artifact, photos, out, reporter_of(quiet or as_json), allow_bare=allow_bare)
    _show_golden(vectors, left_out, out, as_json=as_json)


@golden.command("check")
@click.argument("folder", type=FOLDER, metavar="GOLDEN")
@click.argument("pixels", type=PATH)
@click.argument("artifact", type=PATH)
@click.option(
    "--max-levels",
    type=click.IntRange(0, 255),
    metavar="LEVELS",
    help="Fail if a pixel value, 0 to 255, differs by more than this.  [default: no limit]",
)
@click.option(
    "--min-cosine",
    type=Finite(-1, 1),
    metavar="COSINE",
    default=0.999,
    help="Fail if the embedding of a photo has a lower cosine than this to the correct one.",
)
@allow_bare
@common
def golden_check(
    folder: Path,
    pixels: Path,
    artifact: Path,
    max_levels: int | None,
    min_cosine: float,
    allow_bare: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare the pixels that an app made of the photos in GOLDEN with the correct ones.

    PIXELS is a file of uint8 RGB values [N,H,W,3], the photos in the order of golden.json. ARTIFACT is the model that
    GOLDEN was made for.
    """
    from edgekit.bench import preprocessing

    agreement = preprocessing.compare(folder, pixels, artifact, allow_bare=allow_bare)
    _show_agreement(agreement, as_json=as_json)
    agreement.require(max_levels, min_cosine)


def _show_golden(golden: GoldenFolder, left_out: LeftOut, out: Path, *, as_json: bool) -> None:
    """Where golden vectors were written, of what, and how an app's pixels are compared with them."""
    facts = {
        "folder": str(out),
        "model": golden.model.name,
        "files": len(golden.items),
        "pixels": "uint8 RGB " + " x ".join(str(side) for side in golden.shape),
        "embedding": golden.dim,
        "preprocessing": "{interpolation}, {crop_mode} crop, crop_pct {crop_pct:g}".format(
            **golden.preprocessing.model_dump()
        ),
    }
    if as_json:
        print_json({**facts, "left_out": left_out.facts()})
    else:
        print_facts("Golden vectors", facts)


def _show_agreement(agreement: Agreement, *, as_json: bool) -> None:
    """How near an app's pixels are to the golden ones."""
    if as_json:
        print_json(dataclasses.asdict(agreement))
        return
    where = "" if agreement.max_levels_file is None else f" ({agreement.max_levels_file})"
    facts = {
        "files": agreement.items,
        "largest difference": f"{agreement.max_levels} of 255 levels{where}",
        "equal values": f"{agreement.equal:.2%}",
        "cosine of the embeddings, mean": f"{agreement.mean_cosine:.6f}",
        "cosine, lowest": f"{agreement.min_cosine:.6f} ({agreement.worst})",
    }
    print_facts("Preprocessing against the golden vectors", facts)
