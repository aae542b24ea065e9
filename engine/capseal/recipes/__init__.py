"""Recipes of sealed bundles: made and sealed as companions, and opened to rebuild an encrypted payload."""
