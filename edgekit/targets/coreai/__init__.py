"""Core AI assets (`.aimodel`), Apple's format for one's own neural networks from iOS 27 on."""

from edgekit.targets.base import Runtime, Target

__all__ = ["IOS", "IOS_VERSIONS"]

IOS_VERSIONS = (27,)  # the first with Core AI, and so far the newest

IOS = Target(
    key="ios-coreai",
    platform="ios",
    format="coreai",
    suffix=".aimodel",
    precision="fp16",
    rewrites="coreai",
    forms="coreai",
    module="edgekit.targets.coreai.backend",
    values="edgekit.targets.coreai.values",
    packages=("coreai", "coreai_torch"),
    extra="coreai",
    runtime=Runtime("coreai-core", "Linux CPU", "coreai.runtime", threads=False),
    ios=IOS_VERSIONS,
    default_ios=27,
    newer_ios="Core AI, Apple's newer runtime, whose files are verified here with Apple's own runtime",
    samples=16,  # a second of CPU time and more an image
)
