"""What an embedder is worth: retrieval, drift."""
