"""The quantization plan: one document that says, layer by layer, how a model is quantized, for every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from edgekit.errors import UsageError
from edgekit.graph.levels import Levels
from edgekit.quantization.schemes import AUTO, SCHEMES, WEIGHTS_ONLY, choices, described, nearest_forms
from edgekit.support.documents import Document, Part
from edgekit.support.version import VERSION

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SCHEMA", "Asked", "Calibration", "Key", "LayerPlan", "Plan", "Sha256", "TensorPlan", "check_target"]

SCHEMA: Literal["edgekit.plan/1"] = "edgekit.plan/1"


def _one_of(keys: Callable[[], Sequence[str]]) -> tuple[Any, Any]:
    """What makes a string one of the keys that the table of schemes has by then, and the JSON schema say so."""

    def check(key: str) -> str:
        if key not in keys():
            raise PydanticCustomError("scheme", f"{key[:40]!r} is none of {', '.join(keys())}")
        return key

    return AfterValidator(check), Field(json_schema_extra=lambda schema: schema.update(enum=[*keys()]))


_KEY, _ASKED = _one_of(lambda: [*SCHEMES]), _one_of(choices)
Key = Annotated[str, _KEY[0], _KEY[1]]
Asked = Annotated[str, _ASKED[0], _ASKED[1]]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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
    scheme: Key = Field(description=f"{described(SCHEMES.values())}.")
    why: str | None = Field(default=None, description="Why the scheme is another one than the plan's.")
    damage: dict[Key, float] = Field(
        default_factory=dict,
        description="1 - cosine of the embedding where this layer alone has a scheme: the worst image of some. Only "
        "in a plan that was searched for.",
    )
    shifted: bool = Field(
        default=False,
        description="Whether weights.safetensors holds what is added to its bias where its weights are in 8 bits: what "
        "rounding them shifts the mean of each output channel by, on the calibration images.",
    )
    targets: dict[str, Key] = Field(
        default_factory=dict, description="Where a target has no such form: the nearest one, which it uses instead."
    )

    def on(self, target: str) -> str:
        """The scheme that a target ("coreml", "coreai", "executorch", "litert" or "onnx") uses.

        A plan that is older than a target says nothing of it: the table of schemes does.
        """
        return self.targets.get(target) or nearest_forms(self.scheme, self.kind).get(target, self.scheme)


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
        return "int8" if self.scheme == AUTO else self.scheme

    def check_target(self, rewrites: str, min_ios: int) -> None:
        """Refuse a target that cannot hold this plan.

        Raises:
            UsageError: says which can.
        """
        check_target(rewrites, min_ios, [row.on(rewrites) for row in self.layers])

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


def check_target(rewrites: str, min_ios: int, forms: Sequence[str] = (WEIGHTS_ONLY,)) -> None:
    """Refuse a target that cannot hold layers of these forms; without any, those that every plan of `auto` has.

    Raises:
        UsageError: says which can.
    """
    form = max((SCHEMES[form] for form in forms), key=lambda form: form.ios)
    if rewrites == "coreml" and min_ios < form.ios:
        older = [f"{row.key} (iOS {row.ios})" for row in SCHEMES.values() if row.choice and row.ios <= min_ios]
        instead = f", or quantize with a scheme that needs less: {', '.join(older)}" if older else ""
        raise UsageError(
            f"Core ML's {form.key} layers need iOS {form.ios}, `min_ios` is {min_ios}: set `min_ios={form.ios}`"
            f"{instead}",
            field="min_ios",
        )
