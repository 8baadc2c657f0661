"""Whether a file of unknown origin lets its native runtime live: opened first in a bounded process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgekit.errors import InputError
from edgekit.targets.base import Target

__all__ = ["survives"]

_SECONDS = 300  # of CPU time; the largest backbones take a few
_PATIENCE = 900
_OPEN = f"""
import sys
if sys.platform != "win32":
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, ({_SECONDS}, {_SECONDS}))
import importlib
from pathlib import Path
from edgekit.errors import EdgeKitError
try:
    importlib.import_module(sys.argv[1]).open(Path(sys.argv[2]))
except EdgeKitError:
    pass
"""


def survives(path: Path, target: Target) -> None:
    """Open a file in another process, where its target says that a damaged one ends the process.

    Raises:
        InputError: the runtime crashed, or took too long. What it refuses is told by whoever opens the file then.
    """
    if not target.fragile:
        return
    command = [sys.executable, "-c", _OPEN, target.module, str(path)]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        ended = -1
    if ended < 0:
        raise InputError(f"{path}: the runtime of {target} crashes on this file: it is damaged, get an unchanged copy")
