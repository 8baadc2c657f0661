"""Distil a teacher into a phone-sized student: `run.distill` is the whole road."""
