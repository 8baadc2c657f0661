"""Fuzz one parser guided by coverage, with atheris: `python -m tests.fuzz.guided NAME --seconds 60`.

New inputs that reach new lines are kept in a folder of build/fuzz; one that is a finding is written there, and the
process ends with an error. Mend the parser, and put the input into tests/fuzz/corpus/NAME.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.fuzz.parsers import CORPUS, PARSERS
from tests.fuzz.run import HANG, watched

LONGEST = 1 << 16  # bytes of an input


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(list(PARSERS)))
@click.option("--seconds", default=60, show_default=True)
@click.option("--found", type=click.Path(path_type=Path), default=Path("build/fuzz"), show_default=True)
def main(name: str, seconds: int, found: Path) -> None:
    import atheris

    parser, kept = PARSERS[name], found / name
    kept.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["edgekit"]):
        for seed in sorted((CORPUS / name).iterdir()):  # imports what the parser needs
            watched(name, seed.read_bytes(), kept / "last")
    with tempfile.TemporaryDirectory() as folder:
        last = Path(folder) / "last"
        bounds = {
            "max_total_time": seconds,
            "timeout": HANG,
            "rss_limit_mb": 1024 + parser.mebibytes,
            "max_len": LONGEST,
            "artifact_prefix": f"{kept}/",
            "print_final_stats": 1,
        }
        arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in bounds.items()), str(kept), str(CORPUS / name)]
        atheris.Setup(arguments, lambda data: watched(name, data, last) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
