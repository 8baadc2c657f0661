"""One Swift compiler and one build of the Core files for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Core, Swift, build, swift


@pytest.fixture(scope="session", name="swift")
def compiler() -> Iterator[Swift]:
    """Where Swift is compiled and run."""
    with swift() as found:
        yield found


@pytest.fixture(scope="session")
def core(swift: Swift) -> Core:
    """The Core files with the tests' command line."""
    return build(swift)
