"""ExecuTorch programs, on XNNPACK and on Core ML."""

from edgekit.targets.base import Runtime, Target
from edgekit.targets.coreml import IOS_VERSIONS

__all__ = ["ANDROID", "IOS"]

# Its own package imports the whole exporter.
_BINDINGS = "edgekit.targets.executorch.runtime:bindings"

ANDROID = Target(
    key="android",
    platform="android",
    format="executorch",
    suffix=".pte",
    precision="fp32",
    rewrites="executorch",
    forms="executorch",
    module="edgekit.targets.executorch.backend",
    values="edgekit.targets.executorch.values",
    inside_channels_last=True,
    packages=("executorch",),
    extra="executorch",
    runtime=Runtime("executorch", "XNNPACK", _BINDINGS, beside=("torch", "=={lowest}.*")),
    uint8_input=True,
    fragile=True,
)

IOS = Target(
    key="ios-executorch",
    platform="ios",
    format="executorch",
    suffix=".pte",
    precision="fp16",
    rewrites="coreml",
    module="edgekit.targets.executorch.coreml",
    packages=("coremltools", "executorch"),
    extra="coreml,executorch",
    runtime=Runtime("coremltools", "Core ML", "coremltools", threads=False),
    ios=IOS_VERSIONS,
    wide_norm=False,
)
