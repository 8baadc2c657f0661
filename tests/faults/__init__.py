"""Commands that are killed, interrupted, out of room or without permission to write, at random moments."""
