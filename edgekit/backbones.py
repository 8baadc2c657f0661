"""The curated table of backbones, and "did you mean" for their names.

The figures are measured, not quoted: `python -m edgekit.backbones` recomputes every row and prints it
as it stands here. The table is a shortlist, not a limit: any fixed-size timm image backbone goes the road.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Backbone", "measure", "suggest", "table"]


@dataclass(frozen=True)
class Backbone:
    """One timm backbone without its classifier, as timm builds it (before reparameterisation).

    `macs` are multiply-accumulates of one image of `input_size` (height, width in pixels), `embedding` is the width of
    the pooled features, `license` that of timm's default pretrained weights.
    """

    name: str
    family: str
    params: int
    macs: int
    input_size: tuple[int, int]
    embedding: int
    license: str


_ROWS = ()


def table() -> list[Backbone]:
    """Return the curated backbones, grouped by family."""
    return list(_ROWS)


def measure(name: str, family: str) -> Backbone:
    """Measure a timm backbone without allocating its weights; MACs are half of what torch's FlopCounterMode counts."""
    import timm
    import torch
    from timm.layers.config import set_fused_attn, use_fused_attn
    from torch.utils.flop_counter import FlopCounterMode

    fused = bool(use_fused_attn())
    set_fused_attn(False)  # the counter has no formula for every fused kernel; plain matmuls it counts
    try:
        with torch.device("meta"), torch.inference_mode():
            model: Any = timm.create_model(name, num_classes=0).eval()
            channels, height, width = model.pretrained_cfg["input_size"]
            with FlopCounterMode(display=False) as counter:
                features = model(torch.empty(1, channels, height, width))
    finally:
        set_fused_attn(fused)
    params = sum(parameter.numel() for parameter in model.parameters())
    weight_license = model.pretrained_cfg.get("license") or "see model card"
    macs = counter.get_total_flops() // 2
    return Backbone(name, family, params, macs, (height, width), features.shape[-1], weight_license)


def suggest(name: str) -> list[str]:
    """Return up to five names, of the table or of timm, that someone who typed `name` may have meant; best first."""
    import timm

    typed = name.strip().lower().replace("-", "_")
    known = [*(row.name for row in _ROWS), *(timm.list_pretrained() if "." in typed else timm.list_models())]
    family = [row.name for row in _ROWS if row.family.lower().replace("-", "_") == typed]
    holding = [row.name for row in _ROWS if len(typed) > 2 and typed in row.name]
    close = difflib.get_close_matches(typed, known, n=5, cutoff=0.6)
    return list(dict.fromkeys([*family, *close, *holding]))[:5]


def _main(names: list[str]) -> None:
    families = {row.name: row.family for row in _ROWS}
    for name in names or families:
        row = measure(name, families.get(name, "?"))
        fields = (row.name, row.family, row.params, row.macs, row.input_size, row.embedding, row.license)
        print(f"    Backbone({', '.join(_source(field) for field in fields)}),", flush=True)


def _source(field: object) -> str:
    if isinstance(field, str):
        return f'"{field}"'
    return f"{field:_}" if isinstance(field, int) else repr(field)


if __name__ == "__main__":
    _main(sys.argv[1:])
