"""A/B tests: how long, what came of it, and whether to go on."""
