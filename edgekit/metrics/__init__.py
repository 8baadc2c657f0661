"""Retrieval and statistics: one implementation of each figure that EdgeKit reports."""
