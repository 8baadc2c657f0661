"""What each version of a runtime made of one file: `edgekit.runtimes/1`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.artifact.manifest import RuntimeVerdict, RuntimeVersions, Sha256
from edgekit.errors import MissingDependencyError, ParityError
from edgekit.parity.report import ParityReport
from edgekit.support.documents import Document, Part

__all__ = ["RuntimeRow", "RuntimesReport"]

SCHEMA: Final = "edgekit.runtimes/1"


class RuntimeRow(Part):
    """One version: its parity, or why it does not run the file."""

    version: str
    verdict: RuntimeVerdict = Field(
        description="As in parity.json; refused: this version does not run the file; unavailable: it does not start on "
        "this machine."
    )
    reason: str | None = Field(default=None, description="The runtime's words where it refuses, or the missed gates.")
    beside: str | None = Field(default=None, description="What was installed with it, where it needed that.")
    parity: ParityReport | None = Field(default=None, description="Null where this version does not run the file.")


class RuntimesReport(Document):
    """One file on several versions of its runtime, the oldest first."""

    schema_: Literal["edgekit.runtimes/1"] = Field(default=SCHEMA, alias="schema")
    artifact: str = Field(description="The file's name.")
    sha256: Sha256
    package: str = Field(description="The runtime's package.")
    oldest: str | None = Field(
        description="The oldest version that agrees, as all newer ones that were tried do; null where the newest fails."
    )
    versions: list[RuntimeRow] = Field(min_length=1)

    def summary(self) -> RuntimeVersions:
        """What a manifest says of it."""
        return RuntimeVersions(
            package=self.package, oldest=self.oldest, tried={row.version: row.verdict for row in self.versions}
        )

    def raise_for_verdict(self, *, allow_inconclusive: bool = False) -> None:
        """ParityError with the first version that refuses or misses a gate, InconclusiveError as a parity report raises
        it; MissingDependencyError where one did not start."""
        for row in self.versions:
            if row.verdict == "refused":
                raise ParityError(f"{self.package} {row.version} does not run {self.artifact}: {row.reason}")
        for row in self.versions:
            if row.parity is not None:
                row.parity.raise_for_verdict(allow_inconclusive=allow_inconclusive)
        for row in self.versions:
            if row.verdict == "unavailable":
                raise MissingDependencyError(f"{self.package} {row.version} does not start here: {row.reason}")
