"""Brotli's compressor, which the extra `capgo` brings, and when it is used."""

try:
    from brotli import Compressor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("delta updates need Brotli: install capseal[capgo]", name="brotli") from error

__all__ = ["LEAST_BYTES", "LEAST_GAIN_BYTES", "SUFFIX", "Compressor"]

SUFFIX = ".br"
LEAST_BYTES = 8192
"""Smaller files are stored as they are."""
LEAST_GAIN_BYTES = 11
"""A compressed file that saves less is stored as it is."""
