"""The table of quantization schemes: what is true of one scheme stands in its row, and everything else asks the row.

A scheme that re-uses arithmetic which is here costs one row, also from outside the package: `SCHEMES[row.key] = row`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from edgekit.support.plots import COLOURS

__all__ = [
    "AUTO",
    "SCHEMES",
    "TARGETS",
    "WEIGHTED",
    "WEIGHTS_ONLY",
    "Scheme",
    "candidates",
    "choices",
    "described",
    "gates_for",
    "nearest_forms",
]

AUTO = "auto"  # asked for in place of a scheme: each layer gets its own
WEIGHTS_ONLY = "w8"  # what stands for a scheme where activations are to stay in float
WEIGHTED = ("conv", "depthwise", "linear")  # kinds of layers that have a weight
TARGETS = ("coreml", "coreai", "executorch", "litert", "onnx")  # whose forms of layers a plan is lowered to
_ANY = "*"  # any other kind of layer
# XNNPACK takes 8-bit weights only with 8-bit activations, and fewer bits not at all.
_XNNPACK = {"executorch": {_ANY: "w8a8-dynamic", "depthwise": "float"}}
# LiteRT has weights of 8 bits alone; its kernels take 4 bits only with dynamic activations and one scale a channel.
_LITERT = {"litert": {_ANY: WEIGHTS_ONLY}}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How one layer is quantized.

    Activations are float, or 8 bits: `static` with ranges from calibration images, `dynamic` scaled as the model runs.
    """

    key: str
    help: str
    weights: Literal["float", "channel", "palette", "steps"] = "channel"  # integers, one scale an output channel
    weight_bits: int = 8
    activations: Literal["float", "static", "dynamic"] = "float"
    kinds: tuple[str, ...] = WEIGHTED  # of layers that get it where it is asked for
    other_kinds: Mapping[str, str] = field(default_factory=dict)  # and kinds that get another scheme then
    searched: tuple[str, ...] = ()  # kinds of layers to which `auto` may give it
    # Target -> kind of layer -> what it uses instead; never a scheme whose weights are coded.
    forms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ios: int  # the first whose Core ML runs it
    # By kind, over the time in float: estimates, not measured layer by layer. They order the search, nothing else.
    time: Mapping[str, float] = field(default_factory=lambda: {_ANY: 1.0})
    colour: str
    choice: bool = True  # whether a user may ask for it

    @property
    def static(self) -> bool:
        """Whether activations are integers whose ranges are known before the model runs."""
        return self.activations == "static"

    @property
    def coded(self) -> bool:
        """Whether weights are codes of levels of their own, which are stored beside the plan."""
        return self.weights in ("palette", "steps")

    def time_of(self, kind: str) -> float:
        """Time of a layer of `kind` over its time in float."""
        return self.time.get(kind, self.time[_ANY])


_ROWS = (
    Scheme(
        key="w8a8", help="8-bit weights with one scale per channel, and static 8-bit activations",
        activations="static", ios=17,
        kinds=(*WEIGHTED, "add", "mul", "sigmoid", "mean", "pool"),
        searched=("conv", "depthwise", "add", "mul", "sigmoid", "mean", "pool"),
        time={_ANY: 0.4}, colour=COLOURS[0],
    ),
    Scheme(
        key="w8a8-dynamic", help="activations scaled as the model runs", activations="dynamic", ios=17,
        kinds=("conv", "linear"), other_kinds={"depthwise": WEIGHTS_ONLY}, searched=("conv", "linear"),
        # Core ML and Core AI have no dynamic activations; ONNX Runtime's are slower than float in convolutions.
        forms={
            "coreml": {_ANY: WEIGHTS_ONLY}, "coreai": {_ANY: WEIGHTS_ONLY}, "executorch": {"depthwise": "float"},
            "onnx": {"conv": WEIGHTS_ONLY},
        },
        time={_ANY: 0.45, "conv": 0.8}, colour=COLOURS[1],  # convolutions by benchmarks/quantize.py on catalog-b0
    ),
    Scheme(
        key="w8", help="weights only", searched=("depthwise", "linear"), forms=_XNNPACK, ios=17, colour=COLOURS[2]
    ),
    Scheme(
        key="palette6", help="weights are indices into a table of 64 or 16 values", weights="palette", weight_bits=6,
        forms={**_XNNPACK, **_LITERT, "onnx": {_ANY: WEIGHTS_ONLY}}, ios=16,
        colour=COLOURS[5],  # ONNX has no integers of 6 bits
    ),
    Scheme(
        key="palette4", help="weights are indices into a table of 64 or 16 values", weights="palette", weight_bits=4,
        forms={**_XNNPACK, **_LITERT}, ios=16, colour=COLOURS[4],
    ),
    Scheme(
        key="w4", help="4-bit weights on 16 even steps, with one scale per block of input channels",
        weights="steps", weight_bits=4,
        forms={**_XNNPACK, **_LITERT}, ios=18, colour=COLOURS[6],
    ),
    Scheme(
        key="float", help="not quantized", weights="float", weight_bits=32, ios=15, colour=COLOURS[3], choice=False
    ),
)  # fmt: skip
SCHEMES: dict[str, Scheme] = {row.key: row for row in _ROWS}


def choices() -> list[str]:
    """What a user may ask for: `auto`, and the schemes."""
    return [AUTO, *(row.key for row in SCHEMES.values() if row.choice)]


def described(rows: Iterable[Scheme]) -> str:
    """The schemes and what each does, in one line."""
    groups = groupby(rows, key=lambda row: row.help)
    return "; ".join(f"{', '.join(row.key for row in same)}: {help_}" for help_, same in groups)


def candidates(kind: str) -> list[str]:
    """The schemes that `auto` may give a kind of layer, fastest first."""
    rows = [row for row in SCHEMES.values() if kind in row.searched]
    return [row.key for row in sorted(rows, key=lambda row: row.time_of(kind))]


def nearest_forms(scheme: str, kind: str) -> dict[str, str]:
    """By target, what stands for `scheme` on a layer of `kind` where the target has no such form."""
    by_target = {target: SCHEMES[scheme].forms.get(target, {}) for target in TARGETS}
    nearest = {target: forms.get(kind, forms.get(_ANY)) for target, forms in by_target.items()}
    return {target: form for target, form in nearest.items() if form is not None}


def gates_for(precision: str) -> str:
    """The name of a recipe's parity gates for a file of `precision`: "fp32", "fp16", "int8" (`auto`) or a scheme."""
    if precision in ("fp32", "fp16"):
        return precision
    few = precision in SCHEMES and SCHEMES[precision].weight_bits <= 4
    return "int4" if few else "int8"
