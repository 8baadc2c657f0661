"""Releases: bundles for each platform, made of verified artifacts, signed, and verified before anything is opened."""
