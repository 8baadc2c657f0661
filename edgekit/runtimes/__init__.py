"""One file on many versions of its runtime, each in an environment of its own that is removed afterwards."""
