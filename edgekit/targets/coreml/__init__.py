"""Core ML packages."""

from edgekit.targets.base import Runtime, Target

__all__ = ["IOS", "IOS_VERSIONS"]

IOS_VERSIONS = range(15, 19)  # from the first ML programs to the newest target of coremltools 9

IOS = Target(
    key="ios",
    platform="ios",
    format="coreml",
    suffix=".mlpackage",
    precision="fp16",
    rewrites="coreml",
    forms="coreml",
    module="edgekit.targets.coreml.backend",
    packages=("coremltools",),
    extra="coreml",
    runtime=Runtime("coremltools", "Core ML", "edgekit.mil:import_lean", threads=False),
    ios=IOS_VERSIONS,
    image_input=True,
    wide_norm=False,
)
