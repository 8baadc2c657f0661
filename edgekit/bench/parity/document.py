"""What one device gave against the original model: `edgekit.device-parity/1`, a file of its own in a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from edgekit.bench import schema as s
from edgekit.parity.report import ParityReport
from edgekit.support.documents import Document, Part

__all__ = ["LABELS", "SCHEMA", "SUFFIX", "DeviceParity", "Images", "Label", "label_of", "read_parity"]

SCHEMA: Literal["edgekit.device-parity/1"] = "edgekit.device-parity/1"
SUFFIX = ".parity.json"
Label = Literal["host", "emulated", "device"]
LABELS: tuple[Label, ...] = ("host", "emulated", "device")  # from the weakest evidence to the strongest
_MAX_BYTES = 16 << 20  # of a report with a row for each of a hundred thousand images


class Images(Part):
    """How many images were asked for, and of how many an embedding came back."""

    asked: s.Count
    received: s.Count


class DeviceParity(Document):
    """One artifact on one device, with one runtime and one setting of its compute units."""

    ADVICE: ClassVar[str] = "compare again"

    schema_: Literal["edgekit.device-parity/1"] = Field(default=SCHEMA, alias="schema")
    run_id: s.RunId
    started_utc: s.Utc
    label: Label = Field(
        description="device: a real one; emulated: its instruction set alone, or not known; host: the machine that "
        "exported the file."
    )
    model: s.Model
    device: s.Device
    runtime: s.Runtime = Field(description="`backend` says which compute units were asked for.")
    mode: Literal["pixels", "raw"] = Field(
        description="pixels: the images were prepared by the host; raw: the device decoded and prepared photos itself."
    )
    images: Images
    report: ParityReport = Field(description='Of what came back; where something is missing, it is never "pass".')
    errors: tuple[s.Text, ...] = Field((), max_length=64, description="What went wrong on the device.")

    @property
    def passed(self) -> bool:
        """Whether all images came back and every gate was kept."""
        return self.report.verdict == "pass" and self.images.received == self.images.asked > 0

    @property
    def place(self) -> str:
        """The device as a table names it, and what ran the file there."""
        serial = self.device.serial_sha256
        return f"{self.device.label}{'' if serial is None else f' #{serial[:6]}'}"

    @property
    def ran(self) -> str:
        """The runtime as a table names it: name, version and compute units."""
        return " ".join(filter(None, (self.runtime.name, self.runtime.version, self.runtime.backend)))


def label_of(device: s.Device) -> Label:
    """How strong the evidence of a device is: where nobody knows whether it is real, it counts as an emulated one."""
    return "device" if device.platform in ("android", "ios") and device.emulated is False else "emulated"


def read_parity(path: Path) -> DeviceParity:
    """Read a document that anyone may have written; InputError says what is wrong with it."""
    return DeviceParity.of(DeviceParity.content(path, max_bytes=_MAX_BYTES), path)
