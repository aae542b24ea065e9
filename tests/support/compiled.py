"""What takes the compiled module: without a C compiler there is none, and capseal does without it where it can."""

import pytest

from capseal.native import matching

needs_matching = pytest.mark.skipif(not matching.is_there(), reason="built without a C compiler: makes no recipes")
