"""ONNX files for ONNX Runtime."""

from edgekit.targets.base import Runtime, Target

__all__ = ["ONNX"]

ONNX = Target(
    key="onnx",
    platform="onnx",
    format="onnx",
    suffix=".onnx",
    precision="fp32",
    rewrites="onnx",
    forms="onnx",
    module="edgekit.targets.onnx.backend",
    values="edgekit.targets.onnx.values",
    packages=("onnx", "onnxscript", "onnxruntime"),
    extra="onnx",
    runtime=Runtime("onnxruntime", "CPUExecutionProvider", "onnxruntime", beside=("numpy", "<2")),
    dynamic_batch=True,
    uint8_input=True,
)
