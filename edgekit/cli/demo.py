"""`edgekit demo`: write the page that searches photos by a picture, and print how near it is to Python."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, PATH, Count, common, reporter_of, workers_option
from edgekit.support.progress import table
from edgekit.support.text import human_size

if TYPE_CHECKING:
    from edgekit.web.demo import DemoResult

__all__ = ["demo"]


@click.command(cls=Command)
@click.argument("artifact", type=PATH)
@click.argument("photos")
@click.option("--out", type=FOLDER, required=True, metavar="DIR", help="Folder to write the page to.")
@click.option("--title", metavar="TEXT", help="Heading of the page.  [default: Search by picture]")
@click.option("--neighbours", type=Count(1, 100), default=12, help="Number of photos that a search shows.")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp16",
    help="How the embeddings of PHOTOS are stored.",
)
@workers_option
@click.option(
    "--runtime",
    type=PATH,
    metavar="TGZ|DIR",
    help="ONNX Runtime Web, where there is no network: what `npm pack` wrote, or its folder dist.  [default: from npm, "
    "once, kept in ~/.cache/edgekit]",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    help="Let a Chromium of this machine, where there is one, embed 32 photos, and write only a page that agrees with "
    "Python.",
)
@click.option(
    "--allow-unverified",
    is_flag=True,
    help="Take an artifact that was exported without being verified, or did not pass.",
)
@common
def demo(as_json: bool, quiet: bool, **options: Any) -> None:
    """Write a page that searches PHOTOS by a picture, with ARTIFACT run by the visitor's browser.

    ARTIFACT is the folder that `edgekit export --target onnx` wrote, or the file in it. PHOTOS is a folder of images,
    a table, tar shards or catalog:200, as for `edgekit embed`. Any web server will do, for example

    python -m http.server --directory site

    The page has all that it needs. Pictures that visitors give it stay in their browsers.
    """
    from edgekit.web.demo import DemoRequest
    from edgekit.web.demo import demo as write_demo

    result = write_demo(DemoRequest(**options), reporter_of(quiet or as_json))
    _show(result, as_json=as_json)


def _show(result: DemoResult, *, as_json: bool) -> None:
    """What was written, and the parity of each kind of file."""
    parity, timing, page = result.parity, result.timing, result.page
    if as_json:
        print_json(
            {
                "out": str(result.out),
                "bytes": result.bytes,
                "photos": result.photos,
                "skipped": [{"image": name, "reason": reason} for name, reason in result.embedded.skipped],
                "model": page.model.model_dump(mode="json"),
                "runtime": f"onnxruntime-web {page.runtime}",
                "parity": parity.model_dump(mode="json"),
                "browser_ms": None if timing is None else timing._asdict(),
            }
        )
        return
    rows = [
        ("page", f"{Path(result.out) / 'index.html'}, {human_size(result.bytes)} with all that it needs"),
        ("photos", f"{result.photos}, {len(result.embedded.skipped)} skipped"),
        ("model", f"{page.model.name}, {page.model.precision}, {human_size(page.model.bytes)}"),
    ]
    if timing is None:
        rows.append(("parity in a browser", f"{parity.verdict}: {parity.reason}"))
    else:
        rows.append(("parity in a browser", f"{parity.verdict} ({parity.browser}, {parity.provider})"))
        for case in parity.cases:
            least, mean = (math.floor(value * 1e6) / 1e6 for value in (case.min_cosine, case.mean_cosine))
            rows.append((f"{case.images} {case.files}", f"min cosine {least:.6f}, mean {mean:.6f}"))
        steps = ", ".join(f"{name} {value:.0f} ms" for name, value in timing._asdict().items())
        rows.append(("a picture in the browser", f"{sum(timing):.0f} ms ({steps})"))
    rows.append(("look at it with", f"python -m http.server --directory {shlex.quote(str(result.out))}"))
    table("Demo", ("figure", "value"), rows)
