"""Why a bundle is refused: the same codes in Python, Kotlin and Swift (reasons.json), and the limits of all three."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from edgekit.errors import IntegrityError
from edgekit.support.text import shown

__all__ = ["LIMITS", "REASONS", "Refused"]


def _table(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files("edgekit.release") / name).read_text("utf-8"))
    return content


REASONS: Final[dict[str, str]] = _table("reasons.json")  # code -> a sentence that says what it means
# What to do, where an unchanged copy of the same thing would be refused again.
_ADVICE: Final = {
    "downgraded": "get a newer one",
    "wrong-name": "get the one that is expected",
    "wrong-space": "get the one that the gallery was embedded with, or embed the gallery with this one",
    "wrong-key": "give the publisher's key, or get an unchanged copy",
}
LIMITS: Final[dict[str, Any]] = _table("limits.json")  # bytes, counts and words that all verifiers have alike


class Refused(IntegrityError):
    """A bundle, an archive or a release that is not accepted; `reason` is a code of `REASONS`."""

    def __init__(self, reason: str, where: object, detail: str = "") -> None:
        said = f" ({shown(detail)})" if detail else ""
        advice = _ADVICE.get(reason, "get an unchanged copy")
        super().__init__(f"{where}: {reason}: {REASONS[reason].rstrip('.')}{said}; {advice}")
        self.reason = reason

    def move(self, folder: Path, archive: Path) -> None:
        """Let the message name the archive that was unpacked into `folder` for a while."""
        self.args = (str(self).replace(f"{folder}/", f"{archive}/").replace(str(folder), str(archive)),)
