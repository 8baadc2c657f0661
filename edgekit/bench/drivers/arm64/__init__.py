"""An emulated arm64 machine."""
