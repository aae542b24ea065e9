"""What takes the compiled module: without a C compiler there is none, and capseal does without it where it can."""

import os

import pytest

from capseal.native import matching

HAS_MATCHING = matching.is_there()
_WHY = "built without a C compiler: makes no recipes"
needs_matching = pytest.mark.skipif(not HAS_MATCHING, reason=_WHY)


def skip_what_lacks_matching(item: pytest.Item, report: pytest.TestReport) -> None:
    """Make a skip of a failure that says that no recipe can be made here, as of an absent tool; in CI it stays one."""
    if report.failed and not HAS_MATCHING and not os.environ.get("CI") and matching.MISSING in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, _WHY)
