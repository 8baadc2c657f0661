"""One result of a latency measurement, on a host or a phone: `edgekit.bench/1`. An unknown value is null, never 0.

The Kotlin, Swift and C runners write the same document; `edgekit schema bench` prints the JSON Schema that all share.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from edgekit.bench.constants import CONSTANTS
from edgekit.errors import InputError
from edgekit.support.documents import Document, Part
from edgekit.support.text import human_size, shown

__all__ = [
    "MAX_BYTES",
    "MAX_SAMPLES",
    "SCHEMA",
    "Check",
    "Core",
    "Count",
    "Device",
    "Embeddings",
    "Lab",
    "Latency",
    "Memory",
    "Milliseconds",
    "Model",
    "Protocol",
    "Reason",
    "Result",
    "RunId",
    "Runtime",
    "Sha256",
    "Side",
    "State",
    "States",
    "Text",
    "Tool",
    "Utc",
    "Validity",
    "new_run",
    "read_result",
]

SCHEMA: Literal["edgekit.bench/1"] = "edgekit.bench/1"
MAX_BYTES: int = CONSTANTS["max_result_bytes"]  # a million samples have about ten million
MAX_SAMPLES: int = CONSTANTS["max_samples"]
_MAX_VALUES = 20_000  # beside the samples
_LONGEST = 1e9  # milliseconds
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _one_line(value: str) -> str:
    if value.endswith("\n"):  # which $ lets pass
        raise ValueError("it ends in a line break")
    return value


def _a_date(value: str) -> str:
    datetime.strptime(_one_line(value), _TIME)
    return value


Text = Annotated[str, Field(max_length=CONSTANTS["max_text"])]
RunId = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{CONSTANTS['run_id_digits']}}}$"), AfterValidator(_one_line)]
Utc = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"), AfterValidator(_a_date)
]
Side = Annotated[int, Field(ge=1, le=CONSTANTS["max_side"])]
_CoreId = Annotated[int, Field(ge=0, lt=CONSTANTS["max_cores"])]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**62)]
Milliseconds = Annotated[float, Field(ge=0, le=_LONGEST)]
# Why a result is not to be compared with others.
Reason = Literal[
    "throttled", "background", "low-battery", "low-power", "emulated", "wrong-output", "few-samples", "hot"
]


class Tool(Part):
    """The program that measured."""

    edgekit: Text
    runner: Literal["host", "android-app", "android-native", "ios-app"]
    harness: Text | None = Field(None, description="What started the runner, for example adb or xcodebuild.")


class Model(Part):
    """What was measured."""

    name: Text
    format: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    sha256: Sha256 = Field(description="The hash of the file, or of a package's names and contents.")
    bytes: Count
    precision: Text | None = None
    parity_min_cosine: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="The least cosine of its embeddings to the original model's, as its manifest says."
    )
    input: tuple[Side, Side] = Field(description="Height and width in pixels.")

    @property
    def kind(self) -> str:
        """Format and precision, as a table calls them."""
        return f"{self.format} {self.precision or ''}".strip()


class Runtime(Part):
    """The runtime that ran the model, and the processor."""

    name: Text
    version: Text | None = None
    backend: Text | None = Field(
        None, description="For example XNNPACK, CPUExecutionProvider, or what Core ML or Core AI was asked for."
    )
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    cores: tuple[_CoreId, ...] | None = Field(
        None, max_length=CONSTANTS["max_cores"], description="The cores that the process was kept on."
    )

    @property
    def words(self) -> str:
        """Name, version and backend, as far as they are known."""
        return " ".join(filter(None, (self.name, self.version, self.backend)))


class Core(Part):
    """A core of the device."""

    id: _CoreId
    max_khz: Count | None = None
    governor: Text | None = None


class Lab(Part):
    """Who runs the device. The serial number is hashed, because results are passed on."""

    provider: Text
    serial_sha256: Sha256 | None = None


class Device(Part):
    """The machine or phone."""

    platform: Literal["linux", "macos", "windows", "android", "ios"]
    manufacturer: Text | None = None
    model: Text | None = None
    soc: Text | None = None
    os: Text | None = None
    api: Annotated[int, Field(ge=1, le=1000)] | None = None
    abi: Text | None = None
    ram_bytes: Count | None = None
    cores: tuple[Core, ...] | None = Field(None, max_length=CONSTANTS["max_cores"])
    emulated: bool | None = None
    lab: Lab | None = None

    @property
    def label(self) -> str:
        """The name in a table."""
        return self.model or self.soc or self.platform

    @property
    def name(self) -> str:
        """The label, and which one of its kind it is where that is known."""
        serial = self.serial_sha256
        return self.label if serial is None else f"{self.label} #{serial[:6]}"

    @property
    def serial_sha256(self) -> str | None:
        """Which device of its kind it is, where that is known."""
        return None if self.lab is None else self.lab.serial_sha256


class Protocol(Part):
    """How it was measured."""

    warmup: Count = Field(description="Inferences before the first sample.")
    min_iterations: Count
    min_duration_s: Annotated[float, Field(ge=0, le=1e6)]
    iterations: Count = Field(description="Samples taken.")
    inputs: Annotated[int, Field(ge=1, le=CONSTANTS["max_images"])] = Field(
        description="Different images; each inference takes the next one."
    )
    interleaved_with: tuple[Sha256, ...] = Field((), max_length=64, description="Models that took turns with this one.")
    cooldown_s: Annotated[float, Field(ge=0, le=1e6)] | None = None
    screen_on: bool | None = None
    airplane: bool | None = None


class State(Part):
    """The device at one moment."""

    thermal_status: int | None = Field(None, ge=0, le=10, description="0 none, 1 light ... 6 shutdown.")
    temperature_c: float | None = Field(
        None, ge=-100, le=200, description="The temperature of the skin, or of the battery."
    )
    battery_pct: Annotated[float, Field(ge=0, le=100)] | None = None
    charging: bool | None = None
    low_power: bool | None = None
    load: float | None = Field(None, ge=0, le=1e5, description="Runnable processes, mean of 1 minute.")
    core_khz: dict[Annotated[str, Field(pattern=r"^\d{1,4}$")], Count] | None = Field(None, max_length=4096)


class States(Part):
    """The device before the first inference and after the last."""

    before: State = State()
    after: State = State()


class Latency(Part):
    """Milliseconds of wall time."""

    cold_load: Milliseconds | None = Field(None, description="Opening the model in a fresh process.")
    warm_load: Milliseconds | None = Field(None, description="Opening it again.")
    compile: Milliseconds | None = Field(
        None, description="Compiling (Core ML) or specializing (Core AI) it on the device."
    )
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
    first_decile_p50: Milliseconds | None = Field(None, description="The median of the first tenth of the samples.")
    last_decile_p50: Milliseconds | None = Field(None, description="The median of the last tenth of the samples.")
    outliers: Count | None = Field(None, description="Samples beyond the median by five scaled median deviations.")


class Memory(Part):
    """Memory, in bytes."""

    peak_rss: Count | None = Field(None, description="The peak of the fresh process that loaded and ran the model.")
    loaded: Count | None = Field(None, description="That process's growth from before it opened the model.")
    phys_footprint_peak: Count | None = Field(None, description="What iOS ends apps by; null elsewhere.")

    @property
    def line(self) -> str:
        """As a table shows it: what the model added, or the peak of the whole process where that is not known."""
        if self.loaded is not None:
            return f"+{human_size(self.loaded)}"
        return "-" if self.peak_rss is None else f"peak {human_size(self.peak_rss)}"


class Check(Part):
    """How near the outputs of all inferences are to the golden embeddings of the same file."""

    images: Count
    min_cosine: Annotated[float, Field(ge=-1.001, le=1.001)] | None = None
    max_abs: Annotated[float, Field(ge=0, le=CONSTANTS["max_difference"])] | None = None
    passed: bool


class Embeddings(Part):
    """The file of embeddings beside the result, as it was written: float32 little-endian [rows,dim]."""

    rows: Count
    sha256: Sha256


class Validity(Part):
    """Whether the result may be compared with others, and why not."""

    valid: bool
    reasons: tuple[Reason, ...] = Field((), max_length=16)

    @property
    def line(self) -> str:
        """The verdict in a table."""
        return "yes" if self.valid else f"no: {', '.join(self.reasons)}"


class Result(Document):
    """One model, measured once."""

    ADVICE: ClassVar[str] = "measure again"
    STYLE: ClassVar[dict[str, Any]] = {"indent": 1, "ensure_ascii": False}

    schema_: Literal["edgekit.bench/1"] = Field(default=SCHEMA, alias="schema")
    run_id: RunId
    started_utc: Utc
    tool: Tool
    model: Model
    runtime: Runtime
    device: Device
    protocol: Protocol
    state: States = States()
    latency_ms: Latency
    memory_bytes: Memory = Memory()
    check: Check
    embeddings: Embeddings | None = Field(None, description="Null in a measurement.")
    validity: Validity
    errors: tuple[Text, ...] = Field((), max_length=64)

    @property
    def started(self) -> datetime:
        """When it began, by the clock of what measured."""
        return datetime.strptime(self.started_utc, _TIME).replace(tzinfo=UTC)

    @property
    def label(self) -> str:
        """The model as a line of text names it."""
        return shown(f"{self.model.name} ({self.model.kind})", None)

    @property
    def place(self) -> str:
        """The device as a table names it, and how it was used: with how many threads, or with which compute units."""
        threads = self.runtime.threads
        how = self.runtime.backend if threads is None else f"{threads} thread{'' if threads == 1 else 's'}"
        return shown(f"{self.device.name}, {how}" if how else self.device.name, None)

    @property
    def where(self) -> str:
        """The measurement as a line of text names it: the model and the device."""
        return f"{self.label} on {self.place}"


def new_run() -> tuple[str, str]:
    """The identifier of a run that begins now, and the time."""
    return os.urandom(16).hex(), datetime.now(UTC).strftime(_TIME)


def read_result(path: Path) -> Result:
    """Read a result that a device or anyone may have written; InputError says what is wrong with it."""
    content = Result.content(path, max_bytes=MAX_BYTES)
    latency = content.get("latency_ms")
    samples = latency.get("samples") if isinstance(latency, dict) else None
    if isinstance(samples, list) and isinstance(latency, dict):
        # Looked at here: pydantic copies all that surrounds a mistake into each of its errors.
        plausible = (type(sample) in (int, float) and 0 <= sample <= _LONGEST for sample in samples)
        if len(samples) > MAX_SAMPLES or not all(plausible):
            raise InputError(f"{path}: not a valid result (latency_ms.samples: too many, or no times); measure again")
        content = content | {"latency_ms": latency | {"samples": []}}
    if _values(content) > _MAX_VALUES:
        raise InputError(f"{path}: not a valid result (it holds more values than a result can); measure again")
    result = Result.of(content, path)
    kept = tuple(float(sample) for sample in samples or ())
    return result.model_copy(update={"latency_ms": result.latency_ms.model_copy(update={"samples": kept})})


def _values(content: Any) -> int:
    """How many values a document holds, containers included."""
    count, todo = 0, [content]
    while todo:
        value = todo.pop()
        count += 1
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return count
