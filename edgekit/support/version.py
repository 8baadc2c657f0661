"""The version of EdgeKit, as every document that it writes states it."""

VERSION = "0.1.0"
