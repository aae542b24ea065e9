"""Building blocks for servers: nothing is passed on that did not match the signed index."""

from .mutant import Mutant

EMBEDDING = "tests/embedding/test_embedding.py::"
UPLOADS = "tests/embedding/test_uploads.py::"
ANSWERS = "tests/embedding/test_answers.py::"
FAITHLESS = UPLOADS + "test_no_success_is_answered_to_an_upload_that_was_refused"

MUTANTS = (
    Mutant(
        "embedding/_verified_reads.py",
        "    index.check_run(offset // SEGMENT_BYTES, run)\n",
        "    index.check_run(offset // SEGMENT_BYTES, run[:SEGMENT_BYTES])\n",
        EMBEDDING + "test_a_range_of_altered_storage_gives_no_byte_of_the_bad_segment",
    ),
    Mutant(
        "embedding/_streams.py",
        "        self._verifier.finish()\n",
        "",
        EMBEDDING + "test_an_early_or_a_late_end_is_refused",
    ),
    Mutant(
        "embedding/_streams.py",
        "        verifier.finish()\n        if released:\n            yield released\n\n\nclass _Batch",
        "        if released:\n            yield released\n\n\nclass _Batch",
        EMBEDDING + "test_an_early_or_a_late_end_is_refused",
    ),
    Mutant(
        "embedding/_verified_reads.py",
        "return run[max(0, start - offset) : stop - offset]",
        "return run[max(0, start - offset) :]",
        EMBEDDING + "test_a_range_gives_exactly_its_bytes",
    ),
    Mutant(
        "embedding/_verified_reads.py",
        "        _check(index, offset, size, run)\n        yield _inside(run, offset, start, stop)\n",
        "        yield _inside(run, offset, start, stop)\n        _check(index, offset, size, run)\n",
        EMBEDDING + "test_a_range_of_altered_storage_gives_no_byte_of_the_bad_segment",
    ),
    Mutant(
        "embedding/_bundle_file.py",
        "return replace(self._expect, floor=max(floor, self._expect.floor or 0))",
        "return self._expect",
        EMBEDDING + "test_an_upload_that_was_overtaken_replaces_nothing",
    ),
    Mutant(
        "embedding/_uploads.py",
        "return self.refusal is None or 400 <= status < 500",
        "return self.refusal is None or status < 500",
        FAITHLESS,
    ),
    Mutant(
        "embedding/_uploads.py",
        "if verdict is None or not self.is_whole:",
        "if verdict is None:",
        UPLOADS + "test_a_verdict_before_the_end_is_the_callers_mistake",
    ),
    Mutant(
        "embedding/_asgi.py",
        '            if message["status"] < 300:\n                await self._read_the_rest()\n',
        "",
        UPLOADS + "test_what_an_application_does_not_read_is_verified_before_its_success_goes_out",
    ),
    Mutant(
        "embedding/_wsgi.py",
        "        if code < 300:\n            self._body.read_the_rest()\n",
        "",
        UPLOADS + "test_what_an_application_does_not_read_is_verified_before_its_success_goes_out",
    ),
    Mutant(
        "embedding/_wsgi.py",
        "        if self._upload.refusal is not None:\n            raise self._upload.refusal\n",
        "",
        UPLOADS + "test_a_refused_upload_never_looks_like_one_that_ended",
    ),
    Mutant(
        "embedding/_answers.py",
        "{index.payload.digest.hex()}",
        "{index.payload.size}",
        ANSWERS + "test_an_answer_is_what_the_rfc_says",
    ),
)
