"""One version of a runtime in a process of its own: what a file's embeddings are there, or why there are none."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.runtimes.process import followed
from edgekit.support.files import read_json
from edgekit.support.text import reason_of
from edgekit.targets import Target

if TYPE_CHECKING:
    import numpy as np

    from edgekit.data.datasets import Pictures
    from edgekit.support.progress import Tick

__all__ = ["Outcome", "Trial", "write_pixels"]

_PATIENCE = 3600  # seconds of CPU time for one version
_SAID = 4000  # bytes of the end of what a version wrote on stderr


@dataclass(frozen=True)
class Outcome:
    """Embeddings float32 [N,D], or None and the reason in one line; `starts` is False where the runtime never began."""

    rows: np.ndarray | None
    reason: str | None = None
    starts: bool = True


@dataclass(frozen=True)
class Trial:
    """A file to run, and the folder that `write_pixels` filled with `images` of them."""

    artifact: Path
    target: Target
    folder: Path
    images: int

    def run(self, folders: Sequence[Path], tick: Tick) -> Outcome:
        """Run the file on the runtime that is in `folders`, whatever it does to its process."""
        runtime = self.target.runtime
        for name in ("answer.json", "rows.npy"):
            (self.folder / name).unlink(missing_ok=True)
        request = {
            "artifact": str(self.artifact.absolute()),
            "entry": runtime.entry,
            "folders": [str(folder) for folder in folders],
            "module": self.target.module,
            "package": runtime.package,
            "seconds": _PATIENCE,
        }
        (self.folder / "request.json").write_text(json.dumps(request))
        code, last = self._process(tick)
        try:
            answer = read_json(self.folder / "answer.json")
        except InputError:
            return Outcome(None, _ended(code, last))
        if answer["step"] == "done":
            return Outcome(self._rows())
        return Outcome(None, answer["error"] or _ended(code, last), starts=answer["step"] != "start")

    def _process(self, tick: Tick) -> tuple[int, str]:
        """Exit code of the process, and the last line that it wrote on stderr."""
        command = [sys.executable, "-m", "edgekit.runtimes.child", str(self.folder)]
        with (self.folder / "stderr").open("w+b") as errors:
            with followed(command, errors) as (process, lines):
                for line in lines:
                    with suppress(ValueError):  # a runtime may print, too
                        tick(min(int(line), self.images), self.images)
            errors.seek(max(0, errors.tell() - _SAID))
            said = errors.read().decode("utf-8", "replace").strip().splitlines()
        return process.returncode, said[-1] if said else ""

    def _rows(self) -> np.ndarray:
        import numpy as np

        return np.load(self.folder / "rows.npy", allow_pickle=False)


def write_pixels(pictures: Pictures, count: int, folder: Path) -> None:
    """Write the `count` images, uint8 [N,H,W,3], to pixels.npy, one after the other; InputError where there are not."""
    import numpy as np

    done = 0
    for picture in pictures:
        if done == 0:
            pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, (count, *picture.image.shape))
        if done < count:
            pixels[done] = picture.image
        done += 1
    if done != count:
        raise InputError(f"the images of {pictures.name} changed between two readings; check that no one writes to it")


def _ended(code: int, last: str) -> str:
    """Why a process that gave no answer ended, in one line."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"it crashes ({name})"
    return reason_of(RuntimeError(last)) if last else f"its process ends with exit code {code}"
