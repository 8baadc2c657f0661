"""The version of EdgeKit, as every document that it writes states it."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
