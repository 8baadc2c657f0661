"""Documents of parity in a results folder, beside the results of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.bench.parity.document import SUFFIX, DeviceParity, read_parity
from edgekit.bench.results.store import below, make_folder, stem
from edgekit.errors import InputError

__all__ = ["find_parities", "save"]


def save(document: DeviceParity, folder: Path) -> Path:
    """Write it as a file of its own, the same one each time; OutputError where that fails."""
    make_folder(folder)
    return document.write(folder / f"{stem(document.started_utc, document.model)}-{document.run_id[:8]}{SUFFIX}")


def find_parities(paths: Sequence[Path]) -> tuple[list[DeviceParity], list[str]]:
    """Every document of files and folders once, oldest first, and a line on each that is none."""
    refused: list[str] = []
    found: dict[str, DeviceParity] = {}
    for path in paths:
        for file in below(path, SUFFIX, refused) if path.is_dir() else [path] if path.name.endswith(SUFFIX) else []:
            try:
                document = read_parity(file)
            except InputError as error:
                refused.append(str(error))
                continue
            found[document.to_json()] = document
    return sorted(found.values(), key=lambda document: document.started_utc), refused
