"""Versions as Capgo's plugin writes them: semantic ones, with parts left out, and compared as such (semver.org, 11)."""

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)


def parse_version(text: str) -> tuple[Version, bool] | None:
    """Return the numbers, absent ones as 0, and whether it is a pre-release; None where it is no version."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch = (int(number or 0) for number in match.group(1, 2, 3))
    return (major, minor, patch), match.group(4) is not None


def is_below(one: str, other: str) -> bool:
    """Whether both are versions and the first one is the lower."""
    ours, theirs = parse_version(one), parse_version(other)
    if ours is None or theirs is None:
        return False
    return (ours[0], not ours[1]) < (theirs[0], not theirs[1])


def is_version(text: str) -> bool:
    """Whether a text is a version that compares."""
    return parse_version(text) is not None


def at_least(native: str, least: str) -> bool:
    """Whether a version is not below another; one that is none is."""
    return is_version(native) and not is_below(native, least)
