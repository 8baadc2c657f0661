"""Parity where the model runs: images go to devices, embeddings come back, and are compared with the original's."""
