"""Documents of parity in a results folder, beside the results of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.bench.parity.document import SUFFIX, DeviceParity, read_parity
from edgekit.bench.results.store import below, make_folder, require_place, safe_name
from edgekit.errors import InputError, OutputError

__all__ = ["Keeper", "find_parities", "save"]


def save(document: DeviceParity, folder: Path) -> Path:
    """Write it as a file of its own, the same one each time; OutputError where that fails."""
    make_folder(folder)
    stamp, model = document.started_utc.replace(":", "").replace("-", ""), document.model
    return document.write(folder / f"{stamp}-{safe_name(model.name)}-{model.format}-{document.run_id[:8]}{SUFFIX}")


class Keeper:
    """Writes each document into a folder, where one is given, as it comes; OutputError where that cannot be made."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            require_place(folder)
        # `lost`: of the documents that could not be written
        self.written, self.lost, self._folder = list[Path](), list[OutputError](), folder

    def keep(self, document: DeviceParity) -> None:
        """Write it."""
        try:
            self.written += [] if self._folder is None else [save(document, self._folder)]
        except OutputError as error:
            self.lost.append(error)


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
