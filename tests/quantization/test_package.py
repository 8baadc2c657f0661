"""What the package offers, and what it costs to ask for a part of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgekit import quantization


def test_everything_that_it_names_is_there() -> None:
    assert all(getattr(quantization, name) is not None for name in quantization.__all__)
    with pytest.raises(AttributeError, match="no attribute 'SCHEME'"):
        _ = quantization.SCHEME


def test_the_table_of_schemes_and_the_settings_import_no_pytorch() -> None:
    code = "import sys; from edgekit.quantization import SCHEMES, Settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
