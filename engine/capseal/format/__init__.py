"""The format as values and bytes: no I/O, no clock, no keys (docs/format.md)."""
