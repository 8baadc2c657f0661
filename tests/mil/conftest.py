from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def frozen_heap() -> Iterator[Any]:
    """coremltools collects garbage after every conversion; spare it the objects of all imported libraries."""
    import coremltools

    assert coremltools.__version__
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
