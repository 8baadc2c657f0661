"""Latency on this machine and on phones."""
