"""The quantization plan: one document that says, layer by layer, how a model is quantized, for every target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PrivateAttr

from edgekit.errors import InputError, UsageError
from edgekit.graph.levels import Levels
from edgekit.support.documents import Document, Part
from edgekit.support.version import VERSION

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "EIGHT_BITS",
    "FEW_BITS",
    "FORMS",
    "SCHEMA",
    "SCHEMES",
    "TARGETS",
    "Asked",
    "Calibration",
    "LayerPlan",
    "Plan",
    "Scheme",
    "TensorPlan",
    "check_target",
    "nearest_forms",
    "read_plan",
]

SCHEMA: Literal["edgekit.plan/1"] = "edgekit.plan/1"
Scheme = Literal["w8a8", "w8a8-dynamic", "w8", "palette6", "palette4", "w4", "float"]
SCHEMES: tuple[Scheme, ...] = ("w8a8", "w8a8-dynamic", "w8", "palette6", "palette4", "w4")
Asked = Literal["auto", "w8a8", "w8a8-dynamic", "w8", "palette6", "palette4", "w4"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

TARGETS = ("coreml", "executorch", "onnx")  # sets of rewrites

# Bits of a weight's code, where weights are on levels of their own and activations in float.
FEW_BITS: dict[Scheme, int] = {"palette6": 6, "palette4": 4, "w4": 4}

EIGHT_BITS: tuple[Scheme, ...] = ("w8a8", "w8a8-dynamic", "w8")  # of weights: the same integers in all three

# (target, scheme, kind of layer or * for any) -> the nearest form that this target's runtime has.
FORMS: dict[tuple[str, Scheme, str], Scheme] = {
    ("coreml", "w8a8-dynamic", "*"): "w8",  # Core ML has no dynamic activations
    ("onnx", "w8a8-dynamic", "conv"): "w8",  # ONNX Runtime's are slower than float
    ("onnx", "palette6", "*"): "w8",  # ONNX has no integers of 6 bits
    # XNNPACK takes 8-bit weights only with 8-bit activations, and fewer bits not at all.
    **{("executorch", scheme, "*"): "w8a8-dynamic" for scheme in ("w8", *FEW_BITS)},
    **{("executorch", scheme, "depthwise"): "float" for scheme in ("w8", "w8a8-dynamic", *FEW_BITS)},
}

# The first iOS whose Core ML runs a form.
_IOS: dict[Scheme, int] = {
    "w8a8": 17, "w8a8-dynamic": 17, "w8": 17, "palette6": 16, "palette4": 16, "w4": 18, "float": 15
}  # fmt: skip


def nearest_forms(scheme: Scheme, kind: str) -> dict[str, Scheme]:
    """By target, what stands for `scheme` on a layer of `kind` where the target has no such form."""
    forms = {target: FORMS.get((target, scheme, kind), FORMS.get((target, scheme, "*"))) for target in TARGETS}
    return {target: form for target, form in forms.items() if form is not None}


class Calibration(Part):
    """The images that the activation ranges come from."""

    dataset: str
    sha256: Sha256 = Field(description="Of the images' names and pixels, or of the catalogue's settings.")
    images: int = Field(ge=1)
    others: int | None = Field(
        default=None,
        description="How many other images of the same folder judge the files; null where it was not parted.",
    )
    observer: str | None = Field(
        description="How ranges were chosen: minmax, margin, percentile, mse, entropy, or best (of these, for each "
        "tensor). Null where the images only say which errors of the weights matter."
    )


class TensorPlan(Part):
    """An activation as signed 8-bit integers: value = scale * (integer - zero_point)."""

    low: float = Field(description="Smallest value that fits.")
    high: float = Field(description="Largest value that fits.")
    scale: float = Field(gt=0)
    zero_point: int = Field(ge=-128, le=127)
    seen: tuple[float, float] = Field(description="Smallest and largest value on the calibration images.")
    observer: str = Field(description="What chose the range.")


class LayerPlan(Part):
    """One operator: its scheme, and why where it is not the one that was asked for."""

    name: str = Field(description="The module it came from, and the operator where that has no weight.")
    kind: str = Field(description="conv, depthwise, linear, add, mul, sigmoid, mean or pool.")
    scheme: Scheme = Field(
        description="w8a8: 8-bit weights a channel and static 8-bit activations; w8a8-dynamic: activations scaled as "
        "the model runs; w8: weights only; palette6, palette4: weights are indices into a table of 64 or 16 values; "
        "w4: 16 even steps, a scale for each block of input channels; float: not quantized."
    )
    why: str | None = Field(default=None, description="Why the scheme is another one than the plan's.")
    damage: dict[Scheme, float] = Field(
        default_factory=dict,
        description="1 - cosine of the embedding where this layer alone has a scheme: the worst image of some. Only "
        "in a plan that was searched for.",
    )
    shifted: bool = Field(
        default=False,
        description="Whether weights.safetensors holds what is added to its bias where its weights are in 8 bits: what "
        "rounding them shifts the mean of each output channel by, on the calibration images.",
    )
    targets: dict[str, Scheme] = Field(
        default_factory=dict, description="Where a target has no such form: the nearest one, which it uses instead."
    )

    def on(self, target: str) -> Scheme:
        """The scheme that a target ("coreml", "executorch" or "onnx") uses."""
        return self.targets.get(target, self.scheme)


class Plan(Document):
    """How a model is quantized."""

    ADVICE: ClassVar[str] = "run `edgekit quantize` again"

    schema_: Literal["edgekit.plan/1"] = Field(default=SCHEMA, alias="schema")
    edgekit: str = VERSION
    model: str = Field(description="Name of the recipe.")
    backbone: str
    weights_sha256: Sha256 = Field(description="Of the state dict's names, dtypes, shapes and values.")
    input: tuple[int, int] = Field(description="Height and width in pixels.")
    scheme: Asked = Field(description="What was asked for; auto: searched layer by layer.")
    calibration: Calibration | None = Field(default=None, description="Null where nothing needs ranges.")
    weights: Sha256 | None = Field(
        default=None,
        description="Of weights.safetensors beside the plan: the levels of palettes and of 4-bit steps, and what is "
        "added to biases.",
    )
    constants: tuple[str, ...] = Field(
        default=(),
        description="Constants that are no layer's weight and are kept on 256 values: as indices in Core ML and ONNX.",
    )
    layers: tuple[LayerPlan, ...] = Field(min_length=1)
    tensors: dict[str, TensorPlan]
    _levels: Mapping[str, Levels] = PrivateAttr(default_factory=dict)
    _shifts: Mapping[str, np.ndarray] = PrivateAttr(default_factory=dict)

    @property
    def levels(self) -> Mapping[str, Levels]:
        """The weights of layers on few levels, by layer name: with `shifts`, what `weights` is the hash of."""
        return self._levels

    @property
    def shifts(self) -> Mapping[str, np.ndarray]:
        """What is added to the bias of layers whose weights are in 8 bits, float32 [O], by layer name."""
        return self._shifts

    def holding(self, levels: Mapping[str, Levels], shifts: Mapping[str, np.ndarray]) -> Plan:
        """The plan with what stands beside it."""
        plan = self.model_copy()
        plan._levels, plan._shifts = levels, shifts
        return plan

    @property
    def precision(self) -> str:
        """What the files that follow it are called after."""
        return "int8" if self.scheme == "auto" else self.scheme

    def check_target(self, slug: str, rewrites: str, min_ios: int) -> None:
        """Refuse a target that cannot hold this plan.

        Raises:
            UsageError: says which can.
        """
        check_target(slug, rewrites, min_ios, [row.on(rewrites) for row in self.layers])

    def check_fits(self, weights_sha256: str, size: tuple[int, int]) -> None:
        """Refuse a plan that was made for another model.

        Raises:
            UsageError: other weights, or another input size.
        """
        if weights_sha256 != self.weights_sha256:
            raise UsageError(
                f"this plan is for other weights ({self.model}, {self.weights_sha256[:12]}..., not "
                f"{weights_sha256[:12]}...); run `edgekit quantize` on this model"
            )
        if tuple(size) != self.input:
            raise UsageError(
                f"this plan is for {self.input[0]} x {self.input[1]} pixels, the model takes {size[0]} x {size[1]}; "
                "run `edgekit quantize` at this size"
            )


def check_target(slug: str, rewrites: str, min_ios: int, forms: Sequence[Scheme]) -> None:
    """Refuse a target that cannot hold layers of these forms.

    Raises:
        UsageError: says which can.
    """
    if slug not in ("ios", "android", "onnx"):
        raise UsageError(f"a plan cannot be lowered to {slug}; export it to ios (coreml), android or onnx")
    form = max(forms, key=lambda form: _IOS[form])
    if rewrites == "coreml" and min_ios < _IOS[form]:
        raise UsageError(
            f"Core ML's {form} layers need iOS {_IOS[form]}, --min-ios is {min_ios}; give --min-ios {_IOS[form]}, or "
            "a plan of palettes, which need 16"
        )


def read_plan(path: Path) -> Plan:
    """Read a plan that anyone may have written, and its weights; InputError says what is wrong with them."""
    from edgekit.quantization.store import read_beside

    plan = Plan.read(path)
    if plan.weights is None:
        if any(row.scheme in FEW_BITS or row.shifted for row in plan.layers):
            raise InputError(f"{path}: not a valid plan (weights: missing); run `edgekit quantize` again")
        return plan
    return plan.holding(*read_beside(path.parent, plan.weights, plan.layers))
