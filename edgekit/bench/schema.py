"""One result of a latency measurement, on a host or a phone: `edgekit.bench/1`. What is not known is null, never 0.

The Kotlin, Swift and C runners write the same document; `edgekit schema bench` prints the JSON Schema that all share.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edgekit.errors import InputError
from edgekit.support.documents import read_versioned, validated
from edgekit.support.files import human_size, printable

__all__ = [
    "SCHEMA",
    "Check",
    "Core",
    "Device",
    "Lab",
    "Latency",
    "Memory",
    "Model",
    "Protocol",
    "Reason",
    "Result",
    "Runtime",
    "State",
    "States",
    "Tool",
    "Validity",
    "new_run",
    "read_result",
]

SCHEMA: Literal["edgekit.bench/1"] = "edgekit.bench/1"
MAX_BYTES = 16 << 20  # a million samples have about ten million
MAX_SAMPLES = 1_000_000
_MAX_VALUES = 20_000  # beside the samples
_LONGEST = 1e9  # milliseconds
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Text = Annotated[str, Field(max_length=500)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**62)]
Milliseconds = Annotated[float, Field(ge=0, le=_LONGEST)]
# Why a result is not to be compared with others.
Reason = Literal[
    "throttled", "background", "low-battery", "low-power", "emulated", "wrong-output", "few-samples", "hot"
]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True, validate_by_name=True
    )


class Tool(_Part):
    """What measured."""

    edgekit: Text
    runner: Literal["host", "android-app", "android-native", "ios-app"]
    harness: Text | None = Field(None, description="What started the runner, e.g. adb or xcodebuild.")


class Model(_Part):
    """What was measured."""

    name: Text
    format: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    sha256: Sha256 = Field(description="Of the file, or of a package's names and contents.")
    bytes: Count
    precision: Text | None = None
    parity_min_cosine: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Of its embeddings to the original's, from its manifest."
    )
    input: tuple[Annotated[int, Field(ge=1, le=65536)], Annotated[int, Field(ge=1, le=65536)]] = Field(
        description="Height and width in pixels."
    )

    @property
    def kind(self) -> str:
        """Format and precision, as a table calls them."""
        return f"{self.format} {self.precision or ''}".strip()


class Runtime(_Part):
    """What ran it, and on what."""

    name: Text
    version: Text | None = None
    backend: Text | None = Field(None, description="XNNPACK, CPUExecutionProvider, a Core ML compute unit setting ...")
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    cores: tuple[Annotated[int, Field(ge=0, le=4096)], ...] | None = Field(
        None, max_length=4096, description="That the process was kept on."
    )


class Core(_Part):
    """A core of the device."""

    id: Annotated[int, Field(ge=0, le=4096)]
    max_khz: Count | None = None
    governor: Text | None = None


class Lab(_Part):
    """Where the device stands. The serial number is hashed: results are passed on."""

    provider: Text
    serial_sha256: Sha256 | None = None


class Device(_Part):
    """The machine or phone."""

    platform: Literal["linux", "macos", "windows", "android", "ios"]
    manufacturer: Text | None = None
    model: Text | None = None
    soc: Text | None = None
    os: Text | None = None
    api: Annotated[int, Field(ge=1, le=1000)] | None = None
    abi: Text | None = None
    ram_bytes: Count | None = None
    cores: tuple[Core, ...] | None = Field(None, max_length=4096)
    emulated: bool | None = None
    lab: Lab | None = None

    @property
    def label(self) -> str:
        """What a table calls it."""
        return self.model or self.soc or self.platform

    @property
    def serial_sha256(self) -> str | None:
        """Which one of its kind it is, where that is known."""
        return None if self.lab is None else self.lab.serial_sha256


class Protocol(_Part):
    """How it was measured."""

    warmup: Count = Field(description="Inferences before the first sample.")
    min_iterations: Count
    min_duration_s: Annotated[float, Field(ge=0, le=1e6)]
    iterations: Count = Field(description="Samples taken.")
    inputs: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Different images, set anew one a turn.")
    interleaved_with: tuple[Sha256, ...] = Field((), max_length=64, description="Models that took turns with this one.")
    cooldown_s: Annotated[float, Field(ge=0, le=1e6)] | None = None
    screen_on: bool | None = None
    airplane: bool | None = None


class State(_Part):
    """The device at one moment."""

    thermal_status: Annotated[int, Field(ge=0, le=10)] | None = Field(
        None, description="0 none, 1 light ... 6 shutdown."
    )
    temperature_c: Annotated[float, Field(ge=-100, le=200)] | None = Field(None, description="Skin, or battery.")
    battery_pct: Annotated[float, Field(ge=0, le=100)] | None = None
    charging: bool | None = None
    low_power: bool | None = None
    load: Annotated[float, Field(ge=0, le=1e5)] | None = Field(None, description="Runnable processes, 1 minute's mean.")
    core_khz: dict[Annotated[str, Field(pattern=r"^\d{1,4}$")], Count] | None = Field(None, max_length=4096)


class States(_Part):
    """The device before the first inference and after the last."""

    before: State = State()
    after: State = State()


class Latency(_Part):
    """Milliseconds of wall time."""

    cold_load: Milliseconds | None = Field(None, description="Opening the model in a fresh process.")
    warm_load: Milliseconds | None = Field(None, description="Opening it again.")
    compile: Milliseconds | None = Field(None, description="Of Core ML, on the device.")
    first: Milliseconds | None = Field(None, description="The first inference of a fresh process.")
    samples: tuple[Milliseconds, ...] = Field(
        max_length=MAX_SAMPLES, description="Every inference after warm-up, in order."
    )
    min: Milliseconds | None = None
    mean: Milliseconds | None = None
    std: Milliseconds | None = None
    max: Milliseconds | None = None
    p50: Milliseconds | None = None
    p90: Milliseconds | None = None
    p95: Milliseconds | None = None
    p99: Milliseconds | None = None
    first_decile_p50: Milliseconds | None = Field(None, description="Of the first tenth of the samples.")
    last_decile_p50: Milliseconds | None = Field(None, description="Of the last tenth.")
    outliers: Count | None = Field(None, description="Samples beyond the median by five scaled median deviations.")


class Memory(_Part):
    """Bytes."""

    peak_rss: Count | None = Field(None, description="Of the fresh process that loaded and ran the model.")
    loaded: Count | None = Field(None, description="That process's growth from before it opened the model.")
    phys_footprint_peak: Count | None = Field(None, description="On iOS.")

    @property
    def told(self) -> str:
        """In a table: what the model added; the process's peak, runtime and all, only where that is not known."""
        if self.loaded is not None:
            return f"+{human_size(self.loaded)}"
        return "-" if self.peak_rss is None else f"peak {human_size(self.peak_rss)}"


class Check(_Part):
    """The outputs against golden embeddings of the same file, every iteration."""

    images: Count
    min_cosine: Annotated[float, Field(ge=-1.001, le=1.001)] | None = None
    max_abs: Annotated[float, Field(ge=0, le=1e6)] | None = None
    passed: bool


class Validity(_Part):
    """Whether the result may be compared with others, and why not."""

    valid: bool
    reasons: tuple[Reason, ...] = Field((), max_length=16)

    @property
    def told(self) -> str:
        """The verdict in a table."""
        return "yes" if self.valid else f"no: {', '.join(self.reasons)}"


class Result(_Part):
    """One model, measured once."""

    schema_: Literal["edgekit.bench/1"] = Field(default=SCHEMA, alias="schema")
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    started_utc: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
    tool: Tool
    model: Model
    runtime: Runtime
    device: Device
    protocol: Protocol
    state: States = States()
    latency_ms: Latency
    memory_bytes: Memory = Memory()
    check: Check
    validity: Validity
    errors: tuple[Text, ...] = Field((), max_length=64)

    @property
    def started(self) -> datetime:
        """When it began, by the clock of what measured."""
        return datetime.strptime(self.started_utc, _TIME).replace(tzinfo=UTC)

    @property
    def label(self) -> str:
        """What a line calls the model."""
        return printable(f"{self.model.name} ({self.model.kind})")

    @property
    def place(self) -> str:
        """What a table calls the device, which one of its kind, and how it was used: threads, or a Core ML setting."""
        threads = self.runtime.threads
        how = self.runtime.backend if threads is None else f"{threads} thread{'' if threads == 1 else 's'}"
        serial = self.device.serial_sha256
        which = "" if serial is None else f" #{serial[:6]}"
        return printable(f"{self.device.label}{which}, {how}" if how else f"{self.device.label}{which}")

    @property
    def where(self) -> str:
        """What a line calls the measurement: the model and the device."""
        return f"{self.label} on {self.place}"

    @field_validator("run_id", "started_utc")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if value.endswith("\n"):  # which $ lets pass
            raise ValueError("ends in a line break")
        return value

    @field_validator("started_utc")
    @classmethod
    def _a_date(cls, value: str) -> str:
        datetime.strptime(value, _TIME)
        return value

    def to_json(self) -> str:
        """The text of a result file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def new_run() -> tuple[str, str]:
    """The identifier of a run that begins now, and the time."""
    return os.urandom(16).hex(), datetime.now(UTC).strftime(_TIME)


def read_result(path: Path) -> Result:
    """Read a result that a device or anyone may have written; InputError says what is wrong with it."""
    content = read_versioned(path, SCHEMA, max_bytes=MAX_BYTES)
    latency = content.get("latency_ms")
    samples = latency.get("samples") if isinstance(latency, dict) else None
    if isinstance(samples, list) and isinstance(latency, dict):
        # Looked at here: pydantic copies all that surrounds a mistake into each of its errors.
        if len(samples) > MAX_SAMPLES or not all(type(one) in (int, float) and 0 <= one <= _LONGEST for one in samples):
            raise InputError(f"{path}: not a valid result (latency_ms.samples: not milliseconds, or too many)")
        content = content | {"latency_ms": latency | {"samples": []}}
    if _values(content) > _MAX_VALUES:
        raise InputError(f"{path}: not a valid result (more in it than a result holds)")
    result = validated(Result, content, path, "measure again")
    kept = tuple(float(one) for one in samples or ())
    return result.model_copy(update={"latency_ms": result.latency_ms.model_copy(update={"samples": kept})})


def _values(content: Any) -> int:
    """How many values a document holds, containers included."""
    count, todo = 0, [content]
    while todo:
        one = todo.pop()
        count += 1
        todo += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return count
