from __future__ import annotations

import numpy as np

from edgekit.graph.levels import CENTER, Levels, finder


def test_codes_stand_for_entries_of_a_table_or_for_steps_of_their_block() -> None:
    codes = np.array([[0, 1, 2, 15], [8, 8, 9, 7]], np.uint8)
    table = np.linspace(-1, 1, 16, dtype=np.float32)
    assert np.array_equal(Levels(codes, 4, table=table).values(), table[codes])
    scales = np.array([[1.0, 2.0], [0.5, 4.0]], np.float32)
    steps = codes.astype(np.float32) - CENTER
    assert np.array_equal(Levels(codes, 4, scales=scales).values(), steps * np.repeat(scales, 2, axis=1))
    kernels = Levels(codes.reshape(2, 4, 1, 1), 4, scales=scales).values()
    assert np.array_equal(kernels.reshape(2, 4), steps * np.repeat(scales, 2, axis=1))


def test_a_constant_is_found_as_it_is_or_transposed_in_the_precision_of_the_file() -> None:
    codes = np.arange(6, dtype=np.uint8).reshape(2, 3)
    levels = Levels(codes, 4, table=np.linspace(-1, 1, 16, dtype=np.float32))
    find = finder([levels], np.float16)
    values = levels.values()
    assert find(values) == (levels, False)
    assert find(values.T.astype(np.float16)) == (levels, True)
    assert find(values + 1) is None
    assert find(values.reshape(3, 2)) is None
