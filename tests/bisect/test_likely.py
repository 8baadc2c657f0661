"""What is likely is told from the tensor of a step and what the program makes there."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekit.bisect.find import Match, distance
from edgekit.bisect.likely import guilty, likely
from edgekit.targets.base import Value
from tests.bisect.spoiled import walk

DUE = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 24, 5, 7)).astype(np.float32))
SQUARE = DUE[..., :5].contiguous()


def step(found: Tensor, due: Tensor, name: str = "conv2d_default", *between: str) -> Match:
    nodes = {node.name: node for node in walk().nodes}
    segment = [nodes[one] for one in (*between, name)]
    return Match(nodes[name], Value("x", "op", found.numpy()), found, distance(found, due), due, segment)


def channel(value: Tensor, number: int) -> Tensor:
    other = value.clone()
    other[:, number] *= -3
    return other


@pytest.mark.parametrize(
    ("found", "due", "words"),
    [
        ((1e5 * DUE).half().float(), 1e5 * DUE, "overflow: .* where half precision ends at 65504"),
        (DUE.where(DUE < 2, torch.nan), DUE, r"overflow: \d+ values are no numbers, the program's go up to [0-9.]+$"),
        (DUE.clamp(-9, 0.5), DUE, r"saturation: \d+ values stop at 0.5, the program's go to [0-9.]+"),
        (DUE.clamp(-0.5, 9), DUE, r"saturation: \d+ values stop at -0.5, the program's go to -[0-9.]+"),
        (SQUARE.transpose(2, 3).contiguous(), SQUARE, r"wrong axis: axes \[0, 1, 3, 2\] in place of \[0, 1, 2, 3\]"),
        (DUE.flip(2), DUE, "wrong axis: axis 2 runs backwards"),
        (DUE.permute(0, 2, 3, 1).reshape(DUE.shape), DUE, r"wrong layout: the numbers lie as axes \[0, 2, 3, 1\]"),
        (DUE.flatten().roll(11).reshape(DUE.shape), DUE, "wrong layout: the program's numbers in another order"),
        (channel(DUE, 2), DUE, "a wrong constant: the error is in channel 2 of axis 1"),
        (2 * DUE, DUE, "a wrong constant: all values are 2 times the program's"),
        (DUE.square(), DUE, "the operator or its constants differ"),
    ],
)  # fmt: skip
def test_each_kind_has_its_words(found: Tensor, due: Tensor, words: str) -> None:
    assert re.match(words, likely(step(found, due)))


def test_a_softmax_along_another_axis_is_told() -> None:
    logits = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 64, 64)).astype(np.float32))
    words = likely(step(logits.softmax(1), logits.softmax(2), "softmax_int"))
    assert words == "wrong axis: a softmax along axis 1, the program's is along -1"


def test_of_several_calls_the_one_with_the_weights_is_named() -> None:
    between = ("bmm_default_1", "linear_1")
    assert guilty(step(DUE, DUE, "add", *between)).name == "linear_1"
    assert guilty(step(DUE, DUE, "mean", "layer_norm")).name == "layer_norm"
    assert guilty(step(DUE, DUE, "add")).name == "add"
