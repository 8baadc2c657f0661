"""A project of a model: the files around it that check and release it."""
