"""Modules import from their own layer or from below, never from above, and never in a circle."""
