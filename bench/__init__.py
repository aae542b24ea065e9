"""The benchmark suite; run it from a checkout with `python -m bench` (see bench/README.md)."""
