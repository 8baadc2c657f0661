"""Embeddings of many images, and the files that hold them."""
