"""What devices are judged by: the images on this machine's disk, and the embeddings of the original."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.artifact.folder import find
from edgekit.bench.parity.judge import Subject
from edgekit.bench.parity.parts import Kept, Photos, Pixels, lay_out
from edgekit.bench.preprocessing import steps_of
from edgekit.bench.protocol import AppJob
from edgekit.data.catalog import Catalog
from edgekit.data.datasets import a_few, pictures, tell_skipped
from edgekit.data.images import Folder
from edgekit.errors import InputError, UsageError
from edgekit.quantization.schemes import gates_for
from edgekit.recipe import InputSpec, Recipe
from edgekit.support.progress import Reporter
from edgekit.support.threads import one_thread

if TYPE_CHECKING:
    from edgekit.bench.parity.run import ParityRequest
