"""What Python, Kotlin, Swift and C agree on: `protocol.json`, with which tests compare the constants of all four."""

import json
from pathlib import Path
from typing import Any

__all__ = ["CONSTANTS"]

# Schema names, file names, limits (bytes, pixels, seconds, counts), the least cosine, and the words of choices.
CONSTANTS: dict[str, Any] = json.loads(Path(__file__).with_name("protocol.json").read_text(encoding="utf-8"))
