"""What one device gave against the original model: `edgekit.device-parity/1`, a file of its own in a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from edgekit.bench import schema as s
from edgekit.parity.report import ParityReport, Verdict
from edgekit.support.documents import Document, Part
from edgekit.support.text import shown

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

    def passes(self, min_cosine: float) -> bool:
        """Whether all images came back with at least that cosine: a verdict of anyone's file is not believed alone."""
        report, due = self.report, self.images.asked
        cosines = [row.cosine for row in report.cosines]
        whole = len(cosines) == report.dataset.images == self.images.received == due > 0
        kept = all(cosine is not None and cosine >= min_cosine for cosine in cosines)
        return report.verdict == "pass" and whole and kept

    @property
    def passed(self) -> bool:
        """Whether it passes its own gates."""
        return self.passes(self.report.gates.min_cosine)

    @property
    def verdict(self) -> Verdict:
        """The report's, but "pass" only of what passed."""
        return self.verdict_at(self.report.gates.min_cosine)

    def verdict_at(self, min_cosine: float) -> Verdict:
        """The same where somebody else says which cosine is due."""
        return "fail" if self.report.verdict == "pass" and not self.passes(min_cosine) else self.report.verdict

    @property
    def count(self) -> str:
        """The number of images as a table shows it."""
        asked, received = self.images.asked, self.images.received
        return str(asked) if received == asked else f"{received} of {asked}"

    @property
    def place(self) -> str:
        """The device as a table names it, and what ran the file there."""
        return shown(self.device.name, None)

    @property
    def ran(self) -> str:
        """The runtime as a table names it: name, version and compute units."""
        return shown(self.runtime.words, None)


def label_of(device: s.Device) -> Label:
    """How strong the evidence of a device is: where nobody knows whether it is real, it counts as an emulated one."""
    return "device" if device.platform in ("android", "ios") and device.emulated is False else "emulated"


def read_parity(path: Path) -> DeviceParity:
    """Read a document that anyone may have written; InputError says what is wrong with it."""
    return DeviceParity.of(DeviceParity.content(path, max_bytes=_MAX_BYTES), path)
