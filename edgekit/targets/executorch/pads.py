"""Zeros around integers only for layers that take integers.

ExecuTorch 1.5.1 makes integers of what a padding of dequantized values gives, whoever takes it; of a convolution in
float it then says "Weight and Input should both be quantized".
https://github.com/pytorch/executorch/blob/main/backends/xnnpack/_passes/insert_pad_qdq.py
"""

from __future__ import annotations

from typing import Any

__all__ = ["for_integers"]


def for_integers(original: Any) -> Any:
    """XNNPACK's pass `original`, InsertPadQDQPass, as a class that leaves paddings for float layers alone."""

    class PadsOfIntegers(original):
        def call(self, graph_module: Any) -> Any:
            spared = {node: node.args for node in graph_module.graph.nodes if _is_padding(node) and _meets_float(node)}
            for node, (image, amounts, *_) in spared.items():
                node.args = (image, amounts, 1.0)  # the pass is for zeros
            result = super().call(graph_module)
            for node, arguments in spared.items():
                node.args = arguments
            graph_module.recompile()
            return result

    PadsOfIntegers.__name__ = original.__name__
    return PadsOfIntegers


def _is_padding(node: Any) -> bool:
    return node.op == "call_function" and "constant_pad_nd" in str(node.target)


def _meets_float(node: Any) -> bool:
    """Whether a layer takes what `node` gives that has no weight of integers."""
    return any(
        len(user.all_input_nodes) < 2 or "dequantize" not in str(user.all_input_nodes[1].target) for user in node.users
    )
