"""Releases: what is packaged, signed and verified."""
