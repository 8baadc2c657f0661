"""Core ML packages."""

from edgekit.targets.base import Runtime, Target

__all__ = ["IOS", "IOS_VERSIONS", "specification"]

IOS_VERSIONS = (15, 16, 17, 18, 26, 27)  # from the first with ML programs

IOS = Target(
    key="ios",
    platform="ios",
    format="coreml",
    suffix=".mlpackage",
    precision="fp16",
    rewrites="coreml",
    forms="coreml",
    module="edgekit.targets.coreml.backend",
    values="edgekit.targets.coreml.values",
    packages=("coremltools",),
    extra="coreml",
    runtime=Runtime("coremltools", "Core ML", "edgekit.mil:import_lean", threads=False),
    ios=IOS_VERSIONS,
    image_input=True,
    wide_norm=False,
)


def specification(min_ios: int) -> str:
    """The name of coremltools' deployment target: iOS 26 and 27 load what iOS 18 does, the newest of coremltools 9."""
    return f"iOS{min(min_ios, 18)}"
