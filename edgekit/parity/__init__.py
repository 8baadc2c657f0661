"""Parity: are the written file's embeddings those of the original model?"""
