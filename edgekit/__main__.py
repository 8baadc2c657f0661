"""`python -m edgekit`, which is also what a launcher of several processes starts: `torchrun -m edgekit distill ...`."""

from edgekit.cli import main

main()
