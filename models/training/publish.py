"""Put a trained student among the bundled models: weights, recipe and card under its name.

edgekit distill models/training/catalog-s0.toml --out build/catalog-s0
python models/training/publish.py build/catalog-s0
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

MODELS = Path(__file__).parents[1]


def publish(run: Path) -> None:
    """Copy a finished run's student to models/NAME.safetensors, .toml, .md and .json.

    A student that was trained in two runs has a recipe NAME-base; the card of that run is told as `started_from`.
    """
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    name = card["name"]
    weights = f"{name}.safetensors"
    shutil.copyfile(run / "student.safetensors", MODELS / weights)
    recipe = (run / f"{name}.toml").read_text(encoding="utf-8").replace("student.safetensors", weights)
    (MODELS / f"{name}.toml").write_text(recipe, encoding="utf-8")
    commands = [f"edgekit distill models/training/{name}.toml --out build/{name}"]
    before = ""
    if (MODELS / "training" / f"{name}-base.toml").exists():
        base = json.loads((run.parent / f"{name}-base" / "card.json").read_text(encoding="utf-8"))
        card["started_from"] = {key: base[key] for key in ("weights", "training", "figures")}
        commands.insert(0, f"edgekit distill models/training/{name}-base.toml --out build/{name}-base")
        found = base["figures"]["retrieval"]["seller-review"]["recall_1"]
        before = f"\nThe first run showed {base['training']['photos']:,} photos and reached recall@1 {found:.4f}.\n"
    (MODELS / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    made = "\n## How it was made\n\n" + "".join(f"    {command}\n" for command in commands) + before
    words = (run / "card.md").read_text(encoding="utf-8").replace("student.safetensors", weights) + made
    limits = "\n## Limits\n\nIt knows drawings. It was never shown a photograph: train your own model for a shop.\n"
    (MODELS / f"{name}.md").write_text(words + limits, encoding="utf-8")


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        publish(Path(folder))
