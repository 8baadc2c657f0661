"""The folder of an export, moved into place at once; what stands there is replaced only where EdgeKit published it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from edgekit.artifact.folder import published_files
from edgekit.support.staging import staging

__all__ = ["publishing"]


def publishing(final: Path) -> AbstractContextManager[Path]:
    """A new folder beside `final`, which becomes `final` when the block ends without an error; see `staging`.

    Raises:
        OutputError: `final` is or holds what EdgeKit did not publish, or cannot be written.
    """
    return staging(final, published_files)
