"""Every error a user can meet. Each message is one line: what was wrong, where, and what to do."""

from __future__ import annotations

from edgekit.support.text import shown

__all__ = [
    "BudgetError",
    "CanaryStopError",
    "CanaryWaitError",
    "DeviceError",
    "DriftError",
    "EdgeKitError",
    "ExperimentError",
    "InconclusiveError",
    "InputError",
    "IntegrityError",
    "MissingDependencyError",
    "ModelError",
    "OutputError",
    "ParityError",
    "RegressionError",
    "TrainingError",
    "UnsupportedOpError",
    "UsageError",
]

_MOST = 2000  # characters


class EdgeKitError(Exception):
    """Base of all errors shown to the user; `exit_code` is what the command exits with.

    A message names fields of the request in backticks (`min_ios`, `verify=False`), which the command line turns into
    its options. `field` is the one to blame, where one is. What names of a foreign file it quotes cannot steer a
    terminal or fill it: it is one line of at most 2,000 characters, its beginning and its end if it is longer.
    """

    exit_code = 1

    def __init__(self, message: str, *, field: str | None = None) -> None:
        line = shown(message, None)
        super().__init__(line if len(line) <= _MOST else f"{line[: _MOST - 505]} ... {line[-500:]}")
        self.field = field


class UsageError(EdgeKitError):
    """An option, name or combination of options that is not allowed: unknown target, bad recipe key."""

    exit_code = 2


class InputError(EdgeKitError):
    """A file that cannot be read as what it should be: weights, images, recipes, artifacts."""

    exit_code = 3


class ModelError(EdgeKitError):
    """A backbone that cannot be built, captured or lowered."""

    exit_code = 4


class UnsupportedOpError(ModelError):
    """An operator that a stop of the road does not know; the message names it and where it came from."""


class ParityError(EdgeKitError):
    """The written file's embeddings miss a parity gate; nothing was published."""

    exit_code = 5


class InconclusiveError(EdgeKitError):
    """Parity says nothing because the original's embeddings hardly vary; nothing was published."""

    exit_code = 6


class IntegrityError(EdgeKitError):
    """A file does not have the sha256 that its manifest states."""

    exit_code = 7


class OutputError(EdgeKitError):
    """The result could not be written: disk full, no permission, a foreign file in the way."""

    exit_code = 8


class MissingDependencyError(EdgeKitError):
    """A package that this command needs is not installed; the message gives the exact install command."""

    exit_code = 9


class DeviceError(EdgeKitError):
    """A device that could not be measured: lost, unauthorised, full, or silent."""

    exit_code = 11


class RegressionError(EdgeKitError):
    """A measurement is slower than its baseline allows, or cannot be compared with it."""

    exit_code = 12


class DriftError(EdgeKitError):
    """Embeddings are not what they were in the reference."""

    exit_code = 13


class TrainingError(EdgeKitError):
    """Training stopped: the loss is not a number, or a process of the run is gone. The last good state is kept."""

    exit_code = 10


class ExperimentError(EdgeKitError):
    """An experiment that cannot be judged, because its arms do not have the sizes that were planned."""

    exit_code = 15


class CanaryStopError(EdgeKitError):
    """A canary that is worse than its guardrails allow: roll it back."""

    exit_code = 16


class CanaryWaitError(EdgeKitError):
    """A canary of which too little is known yet: leave it at its share, and judge again later."""

    exit_code = 17


class BudgetError(EdgeKitError):
    """A release over the size or the latency that its recipe allows; nothing was packaged."""

    exit_code = 18
