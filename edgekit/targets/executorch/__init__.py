"""ExecuTorch programs, on XNNPACK and on Core ML."""
