"""LiteRT files (`.tflite`): on Android's CPUs with XNNPACK, and through delegates on its GPUs and NPUs."""

from edgekit.targets.base import Runtime, Target

__all__ = ["ANDROID"]

ANDROID = Target(
    key="android-litert",
    platform="android",
    format="litert",
    suffix=".tflite",
    precision="fp32",
    rewrites="litert",
    forms="litert",
    module="edgekit.targets.litert.backend",
    values="edgekit.targets.litert.values",
    inside_channels_last=True,
    packages=("litert_torch", "ai_edge_litert"),
    extra="litert",
    channels_last=True,
    uint8_input=True,
    runtime=Runtime("ai-edge-litert", "XNNPACK", "ai_edge_litert.interpreter", beside=("numpy", "<2")),
)
