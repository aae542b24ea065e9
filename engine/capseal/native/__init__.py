"""The compiled part: block hashing and file hints. Only this room imports it, and each has a fallback without it."""
