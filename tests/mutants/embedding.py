"""Building blocks for servers: nothing is passed on that did not match the signed index."""

from .mutant import Mutant

EMBEDDING = "tests/embedding/test_embedding.py::"
UPLOADS = "tests/embedding/test_uploads.py::"
SPELLING = "tests/embedding/test_spelling.py::"
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
        '            if says_no_error(message["status"]):\n                await self._read_the_rest()\n',
        "",
        UPLOADS + "test_what_an_application_does_not_read_is_verified_before_its_success_goes_out",
    ),
    Mutant(
        "embedding/_wsgi.py",
        "        if says_no_error(code):\n            self._body.read_the_rest()\n",
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
    Mutant(
        "embedding/_uploads.py",
        "    return status < 400\n",
        "    return status < 300\n",
        UPLOADS + "test_no_redirect_goes_out_before_the_upload_was_verified",
    ),
    Mutant(
        "embedding/_uploads.py",
        "        return has_body or method in self.methods\n",
        "        return method in self.methods\n",
        SPELLING + "test_every_spelling_of_a_path_of_uploads_is_an_upload_whatever_the_method",
    ),
    Mutant(
        "embedding/_uploads.py",
        '_SIZE = re.compile("[0-9]{1,19}")',
        '_SIZE = re.compile(r"[+]?[0-9]{1,19}")',
        SPELLING + "test_a_size_that_is_none_is_refused",
    ),
    Mutant(
        "embedding/_spelling.py",
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029]",
        r"[\x00-\x1f\x7f\u2028\u2029]",
        SPELLING + "test_what_only_some_frameworks_forgive_never_reaches_the_application",
    ),
    Mutant(
        "embedding/_spelling.py",
        're.compile(r"[!-`{-~]+")',
        're.compile(r"[!-~]+")',
        SPELLING + "test_what_only_some_frameworks_forgive_never_reaches_the_application",
    ),
    Mutant(
        "embedding/_spelling.py",
        "islice(_SLASHES.finditer(one), _MOST_PREFIXES)",
        "islice(_SLASHES.finditer(one), 1)",
        SPELLING + "test_every_spelling_of_a_path_of_uploads_is_an_upload_whatever_the_method",
    ),
    Mutant(
        "embedding/_asgi.py",
        'return {**message, "body": b""} if message',
        "return {**message} if message",
        SPELLING + "test_a_body_that_nobody_announced_is_seen_by_nobody",
    ),
    Mutant(
        "embedding/_wsgi.py",
        '            environ["wsgi.input"] = io.BytesIO()\n',
        "",
        SPELLING + "test_a_body_that_nobody_announced_is_seen_by_nobody",
    ),
    Mutant(
        "embedding/_wsgi.py",
        'environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")',
        'environ.get("PATH_INFO", "")',
        SPELLING + "test_a_path_of_uploads_may_have_any_letters",
    ),
    Mutant(
        "embedding/_asgi.py",
        "        async with self._turn:\n",
        "        async with asyncio.Lock():\n",
        UPLOADS + "test_of_two_receivers_at_once_each_byte_comes_to_one",
    ),
    Mutant(
        "embedding/_aiohttp.py",
        "            _let_read(request, upload)\n",
        "",
        SPELLING + "test_an_aiohttp_handler_that_reads_the_request_itself_sees_verified_bytes_only",
    ),
    Mutant(
        "embedding/_aiohttp.py",
        "        if self.refusal is not None:\n            raise self.refusal\n",
        "",
        SPELLING + "test_an_aiohttp_upload_that_was_refused_never_looks_like_one_that_ended",
    ),
    Mutant(
        "embedding/_bundle_file.py",
        "            floor = recorded\n",
        "            floor = 0\n",
        EMBEDDING + "test_a_stored_bundle_that_no_longer_verifies_is_replaced_by_a_newer_one_and_by_no_older_one",
    ),
)
