"""The road: recipe -> embedder -> exported program -> rewrites -> (quantize) -> lower -> verify -> publish."""

from edgekit.pipeline.request import Export, ExportRequest, ExportResult
from edgekit.pipeline.road import export

__all__ = ["Export", "ExportRequest", "ExportResult", "export"]
