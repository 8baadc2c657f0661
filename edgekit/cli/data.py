"""Commands on data and files: the catalogue, golden vectors, schemas, shell completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from edgekit.cli.shared import FOLDER, PATH, DefaultGroup, Finite, common, reporter_of
from edgekit.errors import UsageError

__all__ = ["catalog", "completion", "golden", "schema"]


@click.group(cls=DefaultGroup)
def golden() -> None:
    """Golden vectors: check the preprocessing of a phone app against EdgeKit's. Options: `edgekit golden make --help`.

    \b
    edgekit golden exported/catalog-s0-ios-fp16 photos/ --out golden
    edgekit golden check golden app-pixels.bin exported/catalog-s0-ios-fp16
    """


@golden.command("make")
@click.argument("artifact", type=PATH)
@click.argument("photos", type=PATH, nargs=-1, required=True, metavar="PHOTO...")
@click.option("--out", type=FOLDER, default=Path("golden"), show_default=True, metavar="DIR")
@click.option("--no-manifest", is_flag=True, help="Take a bare file: no hash check, default preprocessing.")
@common
def golden_make(
    artifact: Path, photos: tuple[Path, ...], out: Path, no_manifest: bool, as_json: bool, quiet: bool
) -> None:
    """Write PHOTOs (files or folders) in every EXIF orientation, with the pixels and embeddings that are right."""
    from edgekit.bench import preprocessing as vectors
    from edgekit.cli import tables as summary

    made, left_out = vectors.make(artifact, photos, out, reporter_of(quiet or as_json), allow_bare=no_manifest)
    summary.show_golden(made, left_out, out, as_json=as_json)


@golden.command("check")
@click.argument("folder", type=FOLDER, metavar="GOLDEN")
@click.argument("pixels", type=PATH)
@click.argument("artifact", type=PATH)
@click.option("--max-levels", type=click.IntRange(0, 255), help="Fail where a value is further off, of 255.")
@click.option("--min-cosine", type=Finite(-1, 1), default=0.999, show_default=True, help="Of the embeddings.")
@click.option("--no-manifest", is_flag=True, help="Take a bare file: no hash check, default preprocessing.")
@common
def golden_check(
    folder: Path,
    pixels: Path,
    artifact: Path,
    max_levels: int | None,
    min_cosine: float,
    no_manifest: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare PIXELS, uint8 RGB [N,H,W,3] as an app made them of the photos in GOLDEN, with what is right."""
    from edgekit.bench import preprocessing as vectors
    from edgekit.cli import tables as summary

    found = vectors.compare(folder, pixels, artifact, allow_bare=no_manifest)
    summary.show_agreement(found, as_json=as_json)
    found.require(max_levels, min_cosine)


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--listings", type=click.IntRange(1, 10_000_000), default=100, show_default=True)
@click.option("--photos", type=click.IntRange(1, 64), default=2, show_default=True, help="Photos a listing.")
@click.option("--size", type=click.IntRange(16, 2048), default=224, show_default=True, help="Pixels a side.")
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@common
def catalog(
    out: Path,
    listings: int,
    photos: int,
    size: int,
    split: Literal["train", "test"],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the synthetic product catalogue to OUT: an ImageFolder and a Parquet table of its listings."""
    from edgekit.cli import tables as summary
    from edgekit.data.catalog import Catalog, write_catalog

    source = Catalog(listings, photos, seed=seed, size=size, split=split)
    with reporter_of(quiet or as_json).stage(f"render {len(source)} images") as tick:
        write_catalog(source, out, tick)
    summary.show_catalog(source, out, as_json=as_json)


@click.command()
@click.argument("name", type=click.Choice(["bench", "golden", "job", "manifest", "parity", "plan", "recipe"]))
def schema(name: str) -> None:
    """Print the JSON Schema of a file that EdgeKit writes or reads."""
    from pydantic import BaseModel

    from edgekit.artifact.manifest import Manifest
    from edgekit.bench.preprocessing import GoldenFolder
    from edgekit.bench.protocol import AppJob
    from edgekit.bench.schema import Result
    from edgekit.parity import ParityReport
    from edgekit.quantization import Plan
    from edgekit.recipe import Recipe

    models: dict[str, type[BaseModel]] = {
        "bench": Result,
        "golden": GoldenFolder,
        "job": AppJob,
        "manifest": Manifest,
        "parity": ParityReport,
        "plan": Plan,
        "recipe": Recipe,
    }
    click.echo(
        json.dumps(models[name].model_json_schema(mode="serialization" if name == "job" else "validation"), indent=2)
    )


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(edgekit completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"click has no completion for {shell}")
    click.echo(kind(click.get_current_context().find_root().command, {}, "edgekit", "_EDGEKIT_COMPLETE").source())
