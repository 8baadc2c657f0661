"""What a file of embeddings says about itself, in the metadata of its Parquet schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from edgekit.errors import InputError
from edgekit.support.documents import Document, Part
from edgekit.support.text import reason_of, shown

__all__ = ["CODES", "KEY", "SCHEMA", "About", "Dtype", "Model", "Preprocessing"]

SCHEMA: Final = "edgekit.embeddings/1"
KEY: Final = b"edgekit.embeddings"  # of the Parquet schema's metadata
CODES: Final = 127  # int8 codes of a row of unit length are -127 to 127
_MAX_BYTES: Final = 1 << 20

Dtype = Literal["float32", "float16", "int8"]


class Model(Part):
    """What made the embeddings."""

    name: str = Field(description="The recipe's name.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Hash of the artifact; of a PyTorch model, of its state dict."
    )
    space: str | None = Field(default=None, description="Id of the embedding space, where it is known.")
    shared: bool = Field(default=False, description="Whether that space is an older model's.")
    kind: str = Field(description="pytorch, or the artifact's format: coreml, executorch, litert, onnx.")
    runtime: str = Field(description="What ran it.")


class Preprocessing(Part):
    """What happened to a photo before it was the model's input, and what the model does to it itself."""

    size: tuple[int, int] = Field(description="Height and width of the input in pixels.")
    interpolation: str = Field(description="Resampling filter of the resize.")
    crop_pct: float = Field(gt=0, description="Share of the resized image that the crop keeps.")
    crop_mode: str = Field(description="How the crop is taken: center, squash or border, as timm defines them.")
    mean: tuple[float, float, float] = Field(description="Per channel, of values scaled to 0-1; the model applies it.")
    std: tuple[float, float, float] = Field(description="Per channel, of values scaled to 0-1; the model applies it.")


class About(Document):
    """Where a file's embeddings came from. No date, path, host or user is in it."""

    ADVICE: ClassVar[str] = "embed the images again"
    STYLE: ClassVar[dict[str, Any]] = {"separators": (",", ":"), "ensure_ascii": False}

    schema_: Literal["edgekit.embeddings/1"] = Field(default=SCHEMA, alias="schema")
    model: Model
    preprocessing: Preprocessing
    dim: int = Field(gt=0, le=65536, description="Values in an embedding.")
    dtype: Dtype = Field(description="How the values are stored.")
    scale: float | None = Field(default=None, gt=0, description="int8: value = code * scale; otherwise null.")
    source: str = Field(description="What was embedded.")

    @model_validator(mode="after")
    def _codes_have_a_scale(self) -> Self:
        if (self.scale is not None) != (self.dtype == "int8"):
            raise ValueError("scale: int8 has one, the others have none")
        return self

    def to_metadata(self) -> dict[bytes, bytes]:
        """The metadata of a schema."""
        return {KEY: self.to_json().strip().encode()}

    @classmethod
    def from_metadata(cls, metadata: dict[bytes, bytes] | None, path: Path) -> Self | None:
        """What a schema of the file at `path` says; None where it says nothing. InputError where that is damaged."""
        text = (metadata or {}).get(KEY)
        if text is None:
            return None
        try:
            content = json.loads(text) if len(text) <= _MAX_BYTES else None
        except (ValueError, RecursionError) as error:
            raise InputError(f"its metadata is not JSON ({reason_of(error, 160)}); {cls.ADVICE}") from None
        schema = content.get("schema") if isinstance(content, dict) else None
        if not isinstance(content, dict) or schema != SCHEMA:
            said = shown(repr(schema), 60)
            raise InputError(f"its metadata has schema {said}, only {SCHEMA!r} can be read; use a matching version")
        return cls.of(content, path)
