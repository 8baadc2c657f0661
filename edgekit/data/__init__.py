"""Images on disk and from the synthetic catalogue, as a model takes them."""
