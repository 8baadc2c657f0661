"""Where a file first differs from the program that it was made of: tensor by tensor, in any format."""

from __future__ import annotations

from edgekit.bisect.report import BisectReport, Step
from edgekit.bisect.run import BisectRequest, bisect

__all__ = ["BisectReport", "BisectRequest", "Step", "bisect"]
