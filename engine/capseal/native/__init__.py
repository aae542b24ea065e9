"""The compiled part: block hashing and file hints. Only this room imports it, and each has a fallback without it."""

import os


def processors() -> int:
    """Return how many processors this process may use; where the system does not say which, how many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no such call
        return os.cpu_count() or 1
