"""demo.json, which the page reads and which says that a folder is a demo; and parity.json, what a browser gave."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from edgekit.artifact.manifest import EmbeddingInfo, InputInfo, Sha256
from edgekit.artifact.manifest import Preprocessing as Steps
from edgekit.support.documents import Document, Part

__all__ = [
    "FILENAME",
    "MOST_NEIGHBOURS",
    "MOST_PHOTOS",
    "PARITY",
    "Case",
    "DemoPage",
    "Gallery",
    "Model",
    "Parity",
    "Takes",
]

FILENAME: Final = "demo.json"
PARITY: Final = "parity.json"
MOST_PHOTOS: Final = 10_000
MOST_NEIGHBOURS: Final = 100
_SHORT: Final = {"indent": None, "separators": (",", ":"), "ensure_ascii": False}


class Model(Part):
    """The ONNX file."""

    name: str
    precision: str
    bytes: int = Field(gt=0)
    sha256: Sha256


class Takes(Part):
    """What the model takes and gives, as its manifest says it."""

    preprocessing: Steps
    input: InputInfo
    embedding: EmbeddingInfo


class Gallery(Part):
    """The photos that are searched: gallery.bin has their embeddings row by row, little-endian."""

    count: Annotated[int, Field(ge=1, le=MOST_PHOTOS)]
    dim: int = Field(gt=0)
    dtype: Literal["float32", "float16", "int8"] = Field(description="int8: 127 times the value.")
    names: list[str]


class DemoPage(Document):
    """All that the page is told."""

    ADVICE: ClassVar[str] = "make it again with `edgekit demo`"
    STYLE: ClassVar[dict[str, Any]] = _SHORT

    schema_: Literal["edgekit.demo/1"] = Field(default="edgekit.demo/1", alias="schema")
    model: Model
    about: Takes
    gallery: Gallery
    neighbours: Annotated[int, Field(ge=1, le=MOST_NEIGHBOURS)]
    check: list[float] = Field(description="Python's embedding of check.png, by which the page checks its browser.")
    runtime: str = Field(description="The version of ONNX Runtime Web.")
    webgpu: bool = Field(description="Whether it is tried before wasm.")


class Case(Part):
    """Files of one kind, embedded by the browser and by Python from the same bytes."""

    files: str = Field(description="Which files.")
    images: int = Field(ge=1)
    lossless: bool = Field(description="False where the browser's own decoder may differ by a level or two.")
    min_cosine: float
    mean_cosine: float
    worst: str


class Parity(Document):
    """How near the page's embeddings are to Python's."""

    ADVICE: ClassVar[str] = "make it again with `edgekit demo`"

    schema_: Literal["edgekit.demo-parity/1"] = Field(default="edgekit.demo-parity/1", alias="schema")
    verdict: Literal["pass", "fail", "unverified"]
    reason: str | None = Field(default=None, description="Why it is unverified.")
    browser: str | None = None
    provider: str | None = Field(default=None, description="What ran the model in it.")
    cases: tuple[Case, ...] = ()
