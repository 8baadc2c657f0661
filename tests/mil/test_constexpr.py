"""Compressed weights: the ops by hand, and what coremltools' own compression writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgekit import mil

from .cases import floats, save

SHAPE = (4, 6)
SIZES = np.array(SHAPE, np.uint32)


def pack(values: Any, bits: Any) -> Any:
    """Pack unsigned numbers into bytes, least significant bit first, one bit at a time."""
    stream = [(int(v) >> b) & 1 for v in values for b in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return np.array(
        [sum(bit << k for k, bit in enumerate(stream[i : i + 8])) for i in range(0, len(stream), 8)], np.uint8
    )


def typed(values: Any, name: str) -> Any:
    """Give an array the sub-byte type that coremltools knows it by."""
    from coremltools.converters.mil.mil import types

    return values.astype(types.nptype_from_builtin(types.string_to_builtin(name)))


def decoded(tmp_path: Path, build: Any, opset: Any, shape: Any = SHAPE, half: Any = False) -> Any:
    """Save x + weight with a weight made by `build`, run it on zeros and return the weight."""
    x = np.zeros(shape, np.float32)
    path = save(lambda mb, i: {"y": mb.add(x=i["x"], y=build(mb))}, {"x": x}, tmp_path / "m.mlpackage", opset, half)
    return mil.load(path).predict({"x": x})["y"]


RNG = np.random.default_rng(0)
Q8 = RNG.integers(-128, 128, SHAPE).astype(np.int8)
SCALE = RNG.uniform(0.01, 0.1, 4).astype(np.float32)
ZERO = RNG.integers(-9, 9, 4).astype(np.int8)


def test_affine_per_channel(tmp_path: Path) -> None:
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_affine_dequantize(quantized_data=Q8, zero_point=ZERO, scale=SCALE, axis=np.int32(0)),
        "iOS16",
    )
    expected = np.array([[(int(v) - int(z)) * s for v in row] for row, z, s in zip(Q8, ZERO, SCALE, strict=True)])
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    layer = torch._make_per_channel_quantized_tensor(torch.tensor(Q8), torch.tensor(SCALE), torch.tensor(ZERO), 0)
    np.testing.assert_allclose(got, layer.dequantize().numpy(), rtol=1e-6)


def test_affine_per_tensor_in_fp16_is_rounded_once(tmp_path: Path) -> None:
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_affine_dequantize(
            quantized_data=Q8, zero_point=np.int8(3), scale=np.float16(0.0123), axis=np.int32(0)
        ),
        "iOS16",
        half=True,
    )
    expected = (Q8.astype(np.float64) - 3) * np.float64(np.float16(0.0123))
    np.testing.assert_array_equal(got, expected.astype(np.float16))


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_packed_lookup_table(tmp_path: Path, bits: Any) -> None:
    lut = floats(2**bits, seed=bits)
    indices = RNG.integers(0, 2**bits, SHAPE)
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_lut_to_dense(indices=pack(indices.flat, bits), lut=lut, shape=SIZES),
        "iOS16",
    )
    np.testing.assert_array_equal(got, np.vectorize(lambda i: lut[i])(indices))


def test_packed_sparse(tmp_path: Path) -> None:
    mask = RNG.uniform(size=SHAPE) > 0.5
    values = floats(int(mask.sum()))
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_sparse_to_dense(nonzero_data=values, mask=pack(mask.flat, 1), shape=SIZES),
        "iOS16",
    )
    expected = np.zeros(SHAPE, np.float32)
    np.place(expected, mask, values)
    np.testing.assert_array_equal(got, expected)


def test_cast(tmp_path: Path) -> None:
    source = floats(*SHAPE).astype(np.float16)
    got = decoded(tmp_path, lambda mb: mb.constexpr_cast(source_val=source, output_dtype="fp32"), "iOS16")
    np.testing.assert_array_equal(got, source.astype(np.float32))


@pytest.mark.parametrize(("name", "low", "high"), [("int4", -8, 8), ("uint4", 0, 16), ("int8", -128, 128)])
def test_blockwise(tmp_path: Path, name: str, low: Any, high: Any) -> None:
    data = RNG.integers(low, high, SHAPE)
    scale, offset = floats(2, 3, seed=3, low=0.1), RNG.integers(low, high, (2, 3))
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_blockwise_shift_scale(data=typed(data, name), scale=scale, offset=typed(offset, name)),
        "iOS18",
    )
    blocks = np.ones((2, 2))
    np.testing.assert_allclose(got, np.kron(scale, blocks) * (data - np.kron(offset, blocks)), rtol=1e-6)


def test_blocks_of_lookup_tables(tmp_path: Path) -> None:
    indices, lut = RNG.integers(0, 8, SHAPE), floats(2, 1, 8, 1)
    got = decoded(tmp_path, lambda mb: mb.constexpr_lut_to_dense(indices=typed(indices, "uint3"), lut=lut), "iOS18")
    expected = [[lut[r // 2, 0, indices[r, c], 0] for c in range(6)] for r in range(4)]
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


@pytest.mark.parametrize("axis", [0, 1])
def test_lookup_table_of_vectors(tmp_path: Path, axis: Any) -> None:
    indices, lut = RNG.integers(0, 4, (2, 3)), floats(1, 1, 4, 2)
    shape = (4, 3) if axis == 0 else (2, 6)
    got = decoded(
        tmp_path,
        lambda mb: mb.constexpr_lut_to_dense(indices=typed(indices, "uint2"), lut=lut, vector_axis=np.int32(axis)),
        "iOS18",
        shape,
    )
    expected = np.zeros(shape, np.float32)
    for r, c, k in np.ndindex(2, 3, 2):
        place = (2 * r + k, c) if axis == 0 else (r, 2 * c + k)
        expected[place] = lut[0, 0, indices[r, c], k]
    np.testing.assert_array_equal(got, expected)


def test_sparse_lookup_table_then_dense(tmp_path: Path) -> None:
    mask = RNG.uniform(size=SHAPE) > 0.4
    indices, lut = RNG.integers(0, 4, int(mask.sum())), floats(4, 1, 4, 1)

    def build(mb: Any) -> Any:
        m, v = mb.constexpr_lut_to_sparse(
            indices_mask=typed(mask, "uint1"), indices_nonzero_data=typed(indices, "uint2"), lut=lut
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=v, mask=m)

    expected, left = np.zeros(SHAPE, np.float32), iter(indices)
    for place in np.argwhere(mask):
        expected[tuple(place)] = lut[place[0], 0, next(left), 0]
    np.testing.assert_array_equal(decoded(tmp_path, build, "iOS18"), expected)


def test_sparse_lookup_table_of_vectors(tmp_path: Path) -> None:
    mask = np.array([[1, 0, 1], [0, 1, 1]])
    indices, lut = np.array([0, 1, 1, 0]), floats(1, 1, 2, 2)

    def build(mb: Any) -> Any:
        m, v = mb.constexpr_lut_to_sparse(
            indices_mask=typed(mask, "uint1"), indices_nonzero_data=typed(indices, "uint1"), lut=lut,
            vector_axis=np.int32(0),
        )  # fmt: skip
        return mb.constexpr_sparse_to_dense(nonzero_data=v, mask=m)

    (a, b), (c, d) = lut[0, 0]
    expected = np.array([[a, 0, c], [b, 0, d], [0, c, a], [0, d, b]], np.float32)
    np.testing.assert_array_equal(decoded(tmp_path, build, "iOS18", (4, 3)), expected)


def test_sparse_blockwise_then_dense(tmp_path: Path) -> None:
    mask = RNG.uniform(size=SHAPE) > 0.4
    data = RNG.integers(-8, 8, int(mask.sum()))
    scale, offset = floats(1, 6, low=0.1), RNG.integers(-8, 8, (1, 6))

    def build(mb: Any) -> Any:
        m, v = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=typed(mask, "uint1"), nonzero_data=typed(data, "int4"), scale=scale, offset=typed(offset, "int4")
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=v, mask=m)

    dense = np.zeros(SHAPE)
    np.place(dense, mask, data)
    expected = np.where(mask, (dense - offset) * scale, 0)
    np.testing.assert_allclose(decoded(tmp_path, build, "iOS18"), expected, rtol=1e-6)


def test_quantized_lookup_table(tmp_path: Path) -> None:
    indices, scale = RNG.integers(0, 4, SHAPE), np.array([[[[0.25]]]], np.float32)
    entries = RNG.integers(-128, 128, (1, 1, 4, 1))

    def build(mb: Any) -> Any:
        lut = mb.constexpr_blockwise_shift_scale(data=typed(entries, "int8"), scale=scale)
        return mb.constexpr_lut_to_dense(indices=typed(indices, "uint2"), lut=lut)

    np.testing.assert_allclose(decoded(tmp_path, build, "iOS18"), entries.ravel()[indices] * 0.25)


CONV, DENSE = floats(16, 8, 3, 3), floats(20, 16, seed=1)
X = floats(1, 8, 10, 10)


def network(mb: Any, inputs: Any) -> Any:
    y = mb.relu(x=mb.conv(x=inputs["x"], weight=CONV, pad_type="valid"))
    return {"y": mb.linear(x=mb.reduce_mean(x=y, axes=[2, 3]), weight=DENSE)}


def forward(conv: Any, dense: Any) -> Any:
    y = F.conv2d(torch.from_numpy(X), torch.from_numpy(conv)).relu().mean((2, 3))
    return (y @ torch.from_numpy(dense).T).numpy()


def compressions() -> Any:
    import coremltools.optimize.coreml as cto

    def config(op: Any) -> Any:
        return cto.OptimizationConfig(global_config=op)

    linear = cto.OpLinearQuantizerConfig
    palette = cto.OpPalettizerConfig
    prune = cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=64)
    quantize = lambda **kw: lambda m: cto.linear_quantize_weights(m, config(linear(weight_threshold=64, **kw)))  # noqa: E731
    palettize = lambda **kw: lambda m: cto.palettize_weights(m, config(palette(weight_threshold=64, **kw)))  # noqa: E731
    pruned = lambda m: cto.prune_weights(m, config(prune))  # noqa: E731
    jointly = lambda m: cto.palettize_weights(  # noqa: E731
        cto.prune_weights(m, config(prune)),
        config(palette(nbits=4, weight_threshold=64)),
        joint_compression=True,
    )
    jointly_linear = lambda m: cto.linear_quantize_weights(  # noqa: E731
        cto.prune_weights(m, config(prune)), config(linear(weight_threshold=64)), joint_compression=True
    )
    # name: opset, compression, op that must occur, largest error of a weight as a share of the largest weight
    return {
        "linear-int8": ("iOS16", quantize(mode="linear_symmetric"), "constexpr_affine_dequantize", 0.006),
        "linear-uint8": ("iOS16", quantize(mode="linear", dtype="uint8"), "constexpr_affine_dequantize", 0.006),
        "linear-int4-blocks": (
            "iOS18",
            quantize(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=4),
            "constexpr_blockwise_shift_scale",
            0.08,
        ),
        "palettes-4": ("iOS16", palettize(nbits=4, mode="uniform"), "constexpr_lut_to_dense", 0.08),
        "palettes-grouped": (
            "iOS18",
            palettize(nbits=6, mode="uniform", granularity="per_grouped_channel", group_size=4),
            "constexpr_lut_to_dense",
            0.02,
        ),
        "pruned": ("iOS16", pruned, "constexpr_sparse_to_dense", 0.55),
        "pruned-palettes": ("iOS18", jointly, "constexpr_lut_to_sparse", 0.7),
        "pruned-linear": ("iOS18", jointly_linear, "constexpr_sparse_blockwise_shift_scale", 0.55),
    }


@pytest.mark.parametrize(
    "name",
    [
        "linear-int8",
        "linear-uint8",
        "linear-int4-blocks",
        "palettes-4",
        "palettes-grouped",
        "pruned",
        "pruned-palettes",
        "pruned-linear",
    ],
)
def test_what_coremltools_compresses(tmp_path: Path, name: str) -> None:
    """The runtime agrees with torch on the weights that coremltools itself decompresses from the same file."""
    import coremltools as ct
    from coremltools.optimize.coreml import decompress_weights, get_weights_metadata

    opset, compress, op, error = compressions()[name]
    plain = ct.models.MLModel(str(save(network, {"x": X}, tmp_path / "plain.mlpackage", opset)), skip_model_load=True)
    small = compress(plain)
    small.save(str(tmp_path / "small.mlpackage"))
    model = mil.load(tmp_path / "small.mlpackage")
    assert model.op_counts[op] == 2
    weights = [w.val for w in get_weights_metadata(decompress_weights(small), weight_threshold=64).values()]
    conv = next(w for w in weights if w.shape == CONV.shape)
    dense = next(w for w in weights if w.shape == DENSE.shape)
    for decompressed, original in ((conv, CONV), (dense, DENSE)):
        assert 0 < np.abs(decompressed - original).max() <= error * np.abs(original).max()
    np.testing.assert_allclose(model.predict({"x": X})["y"], forward(conv, dense), rtol=1e-4, atol=1e-4)
