"""A process of its own in which one version of a runtime runs a file: `python -m edgekit.runtimes.child FOLDER`.

FOLDER has request.json and pixels.npy (uint8 [N,H,W,3]); answer.json and rows.npy (float32 [N,D]) are written there.
How many images are done is printed. Nothing that a version may bring itself is imported before its folders are known.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["Alone", "main"]

_BATCH = 8
_MOST = 300  # characters of a reason


class Alone:
    """Finds what the folders hold in them alone: of `executorch`, a namespace package, no part is found elsewhere."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = list(folders)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a package of the folders is; None for all others, which the next finder may know."""
        if path is not None:
            return None
        spec = PathFinder.find_spec(name, self._folders)
        if spec is not None and spec.submodule_search_locations is not None:
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        return spec


def _limit(seconds: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _run(folder: Path, request: dict[str, Any]) -> None:
    """Embed the images; answer.json has the step that was begun last, and its error where it ended in one."""
    import numpy as np

    from edgekit.support.quiet import quiet
    from edgekit.support.text import reason_of
    from edgekit.targets.base import load_runtime

    def answer(step: str, error: str | None = None) -> str:
        (folder / "answer.json").write_text(json.dumps({"step": step, "error": error}))
        return step

    step = answer("start")
    try:
        with quiet(request["package"]):
            load_runtime(request["entry"])
        step = answer("open")
        runner = importlib.import_module(request["module"]).open(Path(request["artifact"]))
        step = answer("run")
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        rows: list[np.ndarray] = []
        for start in range(0, len(pixels), _BATCH):
            rows.append(np.asarray(runner.embed(np.array(pixels[start : start + _BATCH])), np.float32))
            print(start + len(rows[-1]), flush=True)
        np.save(folder / "rows.npy", np.concatenate(rows))
        answer("done")
    except Exception as error:
        text = reason_of(_first(error), 600).replace(request["artifact"], Path(request["artifact"]).name)
        for place in request["folders"]:
            text = text.replace(f"{place}/", "")
        answer(step, text[:_MOST])


def _first(error: BaseException) -> BaseException:
    """What the runtime itself raised."""
    return error if error.__cause__ is None else _first(error.__cause__)


def main(folder: Path) -> None:
    """Run what the folder asks for, on what it asks for alone."""
    request = json.loads((folder / "request.json").read_text())
    _limit(request["seconds"])
    sys.meta_path.insert(0, Alone(request["folders"]))
    sys.path[:0] = request["folders"]  # for the versions that `importlib.metadata` gives
    _run(folder, request)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
