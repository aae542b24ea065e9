"""The verbs: what is believed before it was checked, and what is released."""

from .mutant import Mutant

ALTERED = "tests/bundle/test_altered_bundles.py::"
COMPANIONS = "tests/bundle/test_companions.py::"
SEAL = "tests/format/test_seal.py::"
PUSH = "tests/bundle/test_push_verifier.py::"
READER = "tests/bundle/test_reader.py::"
DETACH = "tests/bundle/test_detach.py::"

MUTANTS = (
    Mutant(
        "bundle/reading_order.py",
        "    expect.check(statement, now=now)\n"
        "    if reload is None or _index_bytes(statement) <= max(reload.above_bytes, DIGEST_BYTES):\n"
        "        return Verified((yield from parse_rest(envelope, statement)), signers)\n",
        "    if reload is None or _index_bytes(statement) <= max(reload.above_bytes, DIGEST_BYTES):\n"
        "        verified = Verified((yield from parse_rest(envelope, statement)), signers)\n"
        "        expect.check(statement, now=now)\n"
        "        return verified\n",
        ALTERED + "test_all_that_a_reader_expects_is_judged_before_the_index_is_read",
    ),
    Mutant(
        "bundle/reading_order.py",
        "    signers = trust.check_signed_at(signers, statement.created, role=expect.role)\n",
        "",
        "tests/trust/test_certificates.py::test_a_certificate_must_have_been_valid_when_the_bundle_was_made",
    ),
    Mutant(
        "bundle/reading_order.py",
        "    SignedIndex.checked(statement.payload, index)\n",
        "",
        ALTERED + "test_a_signed_statement_with_the_wrong_digest_is_tampering",
    ),
    Mutant(
        "bundle/reading_order.py",
        "    if any(padding):\n",
        "    if any(padding[:-1]):\n",
        SEAL + "test_every_byte_of_the_padding_must_be_zero",
    ),
    Mutant(
        "bundle/reading_order.py",
        "index += yield min(_INDEX_CHUNK_BYTES, total - len(index))",
        "index += yield total - len(index)",
        ALTERED + "test_a_trusted_seal_that_declares_terabytes_makes_no_large_allocation",
    ),
    Mutant(
        "bundle/opened.py",
        "        check_seal_end(source, verified.seal)\n",
        "",
        SEAL + "test_a_seal_that_is_accepted_without_its_payload_must_be_the_whole_of_its_file",
    ),
    Mutant(
        "bundle/opened.py",
        "        if seal is not None:\n            check_seal_end",
        "        if seal is not None and not isinstance(seal, bytes):\n            check_seal_end",
        SEAL + "test_a_detached_seal_must_be_the_whole_of_its_file",
    ),
    Mutant(
        "bundle/opened.py",
        "            verified.check_run(run.first, run.data)\n",
        "            if transform is None:\n                verified.check_run(run.first, run.data)\n",
        ALTERED + "test_a_segment_with_a_good_tag_that_was_not_signed_is_not_unsealed",
    ),
    Mutant(
        "bundle/opened.py",
        "        if source.peek(size, 1):\n",
        "        if source.peek(size, 2)[1:]:\n",
        ALTERED + "test_a_stream_that_goes_on_after_its_end_is_rejected",
    ),
    Mutant(
        "bundle/opened.py",
        "        check_commitment(session_key, header, statement.app, statement.encryption.commitment)\n",
        "",
        "tests/bundle/test_opened.py::test_a_session_key_that_was_not_committed_to_opens_nothing",
    ),
    Mutant(
        "bundle/opened.py",
        "        self.verified.check_run(0, memoryview(segment))\n",
        "",
        "tests/bundle/test_opened.py::"
        "test_a_key_that_was_not_wrapped_for_is_told_from_a_first_segment_that_was_altered",
    ),
    Mutant(
        "bundle/reader.py",
        "        self.verified.check_run(segment, payload)\n",
        "",
        READER + "test_a_segment_with_a_good_tag_that_was_not_signed_is_noticed",
    ),
    Mutant(
        "bundle/push_verifier.py",
        "        if self._payload_bytes < verified.statement.payload.size:\n",
        "        if self._payload_bytes + SEGMENT_BYTES < verified.statement.payload.size:\n",
        PUSH + "test_finishing_early_is_a_truncation_and_final",
    ),
    Mutant(
        "bundle/companions.py",
        "if one.name == name and one.sealed), None)",
        "if one.name == name), None)",
        COMPANIONS + "test_a_companion_that_the_seal_calls_foreign_is_not_opened_although_its_bytes_would_open",
    ),
    Mutant(
        "bundle/companions.py",
        "            signed.check_run(run.first, run.data)\n",
        "",
        COMPANIONS + "test_an_altered_companion_is_refused_and_leaves_no_file",
    ),
    Mutant(
        "bundle/companions.py",
        "            check_commitment(session_key, Header.parse(payload_header), statement.app, committed)\n",
        "            pass\n",
        COMPANIONS + "test_a_session_key_that_was_not_committed_to_opens_no_companion",
    ),
    Mutant(
        "bundle/companions.py",
        "    if digest(entries, size) != companion.digest:\n",
        "    if digest(entries, size)[:4] != companion.digest[:4] and False:\n",
        "tests/capgo/test_attaching.py::test_file_that_is_not_the_vouched_one_has_no_index",
    ),
    Mutant(
        "bundle/reseal.py",
        "        opened.check_payload(\n",
        "        (opened.check_payload if seal is None else dict)(\n",
        "tests/bundle/test_round_trip.py::test_a_seal_alone_is_made_anew_only_for_a_payload_that_was_checked",
    ),
    Mutant(
        "bundle/seal.py",
        "    header = Header(entropy(SALT_BYTES), entropy(NONCE_PREFIX_BYTES))\n",
        "    header = Header(bytes(SALT_BYTES), entropy(NONCE_PREFIX_BYTES))\n",
        COMPANIONS + "test_a_companion_is_never_made_twice_with_one_salt",
    ),
    Mutant(
        "bundle/seal.py",
        "    source.check_unchanged()\n",
        "",
        "tests/io/test_source.py::test_a_file_that_changes_while_it_is_sealed_is_noticed",
    ),
    Mutant(
        "bundle/detach.py",
        "    if source.peek(size, 1):\n",
        "    if source.peek(size, 1) and False:\n",
        DETACH + "test_split_refuses_a_stream_that_goes_on_after_the_payload_and_leaves_nothing",
    ),
    Mutant(
        "bundle/pipeline.py",
        "            raise self.ended_early(start + count)\n",
        "            run.data[count:] = bytes(len(run.data) - count)\n",
        "tests/bundle/test_pipeline.py::test_a_source_that_ends_early_says_where",
    ),
    Mutant(
        "bundle/plan.py",
        "        session_key = entropy(KEY_BYTES)\n",
        "        session_key = entropy(16) * 2\n",
        "tests/bundle/test_plan.py::test_salt_nonce_prefix_and_key_are_drawn_in_their_full_length",
    ),
    Mutant(
        "bundle/plan.py",
        "    session_key: bytes = field(repr=False)\n",
        "    session_key: bytes = field()\n",
        "tests/bundle/test_plan.py::test_a_plan_shows_no_session_key",
    ),
    Mutant(
        "bundle/unseal.py",
        "        opened.check_payload(transform=decrypt, sink=output, write_layout=plain_offset, jobs=jobs,"
        " progress=progress)\n"
        "        output.commit()\n",
        "        try:\n"
        "            opened.check_payload(\n"
        "                transform=decrypt, sink=output, write_layout=plain_offset, jobs=jobs, progress=progress\n"
        "            )\n"
        "        finally:\n"
        "            output.commit()\n",
        ALTERED + "test_a_path_never_appears_when_a_later_segment_is_bad",
    ),
)
