"""Draw what `edgekit export --target all --format all` prints, as docs/export.svg: python docs/terminal.py"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMAND = "edgekit export --target all --format all"
OUT = Path(__file__).with_name("export.svg")


def main() -> None:
    """Run the command and write the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("edgekit")), *COMMAND.split()[1:], "--out", "exported"],
            cwd=folder,
            env={**os.environ, "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": "132"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
    terminal = Console(record=True, width=132, file=io.StringIO())
    terminal.print(Text.from_ansi(f"$ {COMMAND}\n{done.stdout}"))
    svg = terminal.export_svg(title="edgekit")
    # rich points at web fonts; a picture in a repository should not fetch anything.
    OUT.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S))


if __name__ == "__main__":
    main()
