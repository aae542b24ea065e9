"""Building blocks for servers: nothing is passed on that did not match the signed index."""

from .mutant import Mutant

EMBEDDING = "tests/embedding/test_embedding.py::"

MUTANTS = (
    Mutant(
        "embedding.py",
        "    index.check_run(offset // SEGMENT_BYTES, run)\n",
        "    index.check_run(offset // SEGMENT_BYTES, run[:SEGMENT_BYTES])\n",
        EMBEDDING + "test_a_range_of_altered_storage_gives_no_byte_of_the_bad_segment",
    ),
    Mutant(
        "embedding.py",
        "        self._verifier.finish()\n",
        "",
        EMBEDDING + "test_an_early_or_a_late_end_is_refused",
    ),
    Mutant(
        "embedding.py",
        "        verifier.finish()\n        if released:\n            yield released\n\n\nclass BundleFile",
        "        if released:\n            yield released\n\n\nclass BundleFile",
        EMBEDDING + "test_an_early_or_a_late_end_is_refused",
    ),
    Mutant(
        "embedding.py",
        "return run[max(0, start - offset) : stop - offset]",
        "return run[max(0, start - offset) :]",
        EMBEDDING + "test_a_range_gives_exactly_its_bytes",
    ),
    Mutant(
        "embedding.py",
        "        _check(index, offset, size, run)\n        yield _inside(run, offset, start, stop)\n",
        "        yield _inside(run, offset, start, stop)\n        _check(index, offset, size, run)\n",
        EMBEDDING + "test_a_range_of_altered_storage_gives_no_byte_of_the_bad_segment",
    ),
    Mutant(
        "embedding.py",
        "return replace(self._expect, floor=max(floor, self._expect.floor or 0))",
        "return self._expect",
        EMBEDDING + "test_an_upload_that_was_overtaken_replaces_nothing",
    ),
)
