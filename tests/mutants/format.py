"""What bytes parse: strict JSON, statements, envelopes, seals, indexes."""

from .mutant import Mutant

STATEMENT = "tests/format/test_statement.py::"
STRICT = "tests/format/test_strictjson.py::"
DSSE = "tests/format/test_dsse.py::"
SEAL = "tests/format/test_seal.py::"
HEADS = "tests/format/test_heads.py::"
HEAD_VECTOR = HEADS + "test_the_document_of_a_vector_parses_unless_that_is_its_defect"

MUTANTS = (
    Mutant(
        "format/signed_index.py",
        "        if level_above(data) != self._level[first * DIGEST_BYTES : stop * DIGEST_BYTES]:",
        "        if level_above(data)[-DIGEST_BYTES:] == bytes(DIGEST_BYTES):",
        "tests/format/test_held_index.py::test_a_block_that_was_altered_is_found_whenever_it_is_loaded",
    ),
    Mutant(
        "format/signed_index.py",
        "        if size <= DIGEST_BYTES or digest(level, payload.size) != payload.digest:",
        "        if size <= DIGEST_BYTES:",
        "tests/format/test_held_index.py::test_a_level_that_does_not_give_the_signed_digest_is_refused",
    ),
    Mutant(
        "format/head.py",
        "if len(data) > MAX_HEAD_BYTES:",
        "if len(data) > MAX_HEAD_BYTES + 1:",
        HEADS + "test_nothing_of_a_document_over_its_cap_is_looked_at",
    ),
    Mutant(
        "format/head.py",
        "if before >= after:",
        "if before > after:",
        HEADS + "test_two_equal_items_do_not_ascend",
    ),
    Mutant(
        "format/head.py",
        "if head.expires <= head.issued:",
        "if head.expires < head.issued:",
        HEAD_VECTOR,
    ),
    Mutant(
        "format/head.py",
        "if release.sequence in head.withdrawn:",
        "if release is head.candidate and release.sequence in head.withdrawn:",
        HEAD_VECTOR,
    ),
    Mutant(
        "format/head.py",
        "head.candidate.release.sequence <= head.current[0].sequence:",
        "head.candidate.release.sequence < head.current[0].sequence:",
        HEAD_VECTOR,
    ),
    Mutant(
        "format/recall.py",
        "if releases and release.sequence >= releases[-1].sequence:",
        "if releases and release.sequence == releases[-1].sequence:",
        HEAD_VECTOR,
    ),
    Mutant(
        "format/rollout.py",
        "return place * MAX_SHARE < share << 8 * _PLACE_BYTES",
        "return place * MAX_SHARE <= share << 8 * _PLACE_BYTES",
        HEADS + "test_the_place_zero_is_in_no_share_of_nothing",
    ),
    Mutant(
        "format/strictjson.py",
        "if _TIME.fullmatch(text):",
        "if _TIME is not None:",
        STRICT + "test_a_time_has_one_spelling",
    ),
    Mutant(
        "format/strictjson.py",
        "if len(value) != len(members):",
        "if len(value) > len(members):",
        STRICT + "test_forbidden_json_is_rejected",
    ),
    Mutant(
        "format/strictjson.py",
        "abs(value := int(text)) > MAX_INTEGER:",
        "abs(value := int(text)) > MAX_INTEGER + 1:",
        STRICT + "test_forbidden_json_is_rejected",
    ),
    Mutant(
        "format/strictjson.py",
        "for _ in range(MAX_NESTING):",
        "for _ in range(MAX_NESTING + 1):",
        STRICT + "test_nesting_beyond_the_cap_is_a_format_error_wherever_the_interpreter_stops",
    ),
    Mutant(
        "format/strictjson.py",
        "if name not in required and name not in optional:",
        "if name not in required and name in optional:",
        STATEMENT + "test_every_extra_member_is_rejected",
    ),
    Mutant(
        "format/strictjson.py",
        "if type(value) is not kind:",
        "if not isinstance(value, kind):",
        STRICT + "test_members_are_checked_by_name_and_by_exact_type",
    ),
    Mutant(
        "format/strictjson.py",
        "if to_base64(data) != value:",
        "if len(to_base64(data)) != len(value):",
        STATEMENT + "test_base64_has_one_spelling",
    ),
    Mutant(
        "format/strictjson.py",
        "if not _NAME.fullmatch(value):",
        "if not _NAME.match(value):",
        "tests/http/test_shapes.py::test_nothing_but_a_name_gets_into_a_path",
    ),
    Mutant(
        "format/strictjson.py",
        "if not _FINGERPRINT.fullmatch(value):",
        "if not _FINGERPRINT.match(value):",
        STATEMENT + "test_every_bad_value_is_rejected",
    ),
    Mutant(
        "format/strictjson.py",
        'if value in (".", "..") or "/" in value or "\\\\" in value:',
        'if value in (".", "..") or "/" in value:',
        STATEMENT + "test_every_bad_value_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if statement.payload.size != expected:",
        "if statement.payload.size < expected:",
        STATEMENT + "test_sizes_that_disagree_are_named_with_both_values",
    ),
    Mutant(
        "format/statement.py",
        "stored = statement.payload.size + sum(companion.size for companion in companions)",
        "stored = max(statement.payload.size, sum(companion.size for companion in companions))",
        STATEMENT + "test_companions_end_at_their_caps",
    ),
    Mutant(
        "format/statement.py",
        "if permit is not None and permit >= statement.sequence:",
        "if permit is not None and permit > statement.sequence:",
        STATEMENT + "test_every_bad_value_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if len(commitment) != DIGEST_BYTES:",
        "if len(commitment) > DIGEST_BYTES:",
        STATEMENT + "test_every_bad_value_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if kid in recipients:",
        "if kid in recipients and len(recipients) > 1:",
        STATEMENT + "test_the_same_recipient_twice_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if not MIN_RSA_BITS <= 8 * len(encrypted_key) <= MAX_RSA_BITS:",
        "if not 0 < 8 * len(encrypted_key) <= MAX_RSA_BITS:",
        STATEMENT + "test_every_bad_value_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if item.name in found:",
        "if item.name in found and found[item.name] == item:",
        STATEMENT + "test_the_same_attachment_twice_is_rejected",
    ),
    Mutant(
        "format/statement.py",
        "if size > MAX_CUSTOM_BYTES:",
        "if size > MAX_CUSTOM_BYTES + 1:",
        STATEMENT + "test_custom_data_ends_at_64_kib_in_its_compact_encoding",
    ),
    Mutant(
        "format/dsse.py",
        "if envelope._encode() != data:",
        "if len(envelope._encode()) > len(data):",
        DSSE + "test_only_the_canonical_encoding_of_an_envelope_is_accepted",
    ),
    Mutant(
        "format/dsse.py",
        "if self.payload_type != payload_type:",
        "if self.payload_type[:23] != payload_type[:23]:",
        "tests/trust/test_rotation.py::test_a_seal_never_passes_for_an_update_nor_an_update_for_a_seal",
    ),
    Mutant(
        "format/dsse.py",
        'return b"DSSEv1 %d %b %d %b" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)',
        'return b"DSSEv1 %d %b %b" % (len(payload_type.encode()), payload_type.encode(), payload)',
        DSSE + "test_the_pae_is_that_of_the_dsse_specification",
    ),
    Mutant(
        "format/seal.py",
        "if not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES:",
        "if not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES + 1:",
        SEAL + "test_envelope_lengths_out_of_bounds_are_rejected",
    ),
    Mutant(
        "format/signed_index.py",
        "if len(entries) != expected:",
        "if len(entries) < expected:",
        "tests/bundle/test_companions.py::test_an_index_that_does_not_give_the_signed_digest_is_refused",
    ),
    Mutant(
        "format/signed_index.py",
        "if found != payload.digest:",
        "if found[:8] != payload.digest[:8]:",
        "tests/format/test_tree.py::test_a_digest_is_compared_to_its_last_byte",
    ),
    Mutant(
        "format/signed_index.py",
        "if found == expected:",
        "if found[:DIGEST_BYTES] == expected[:DIGEST_BYTES]:",
        "tests/bundle/test_altered_bundles.py::test_segments_swapped_doubled_dropped_or_spliced_are_rejected",
    ),
    Mutant(
        "format/segment_layout.py",
        "if content_bytes < 0 or payload_bytes_of(content_bytes) != payload_bytes:",
        "if content_bytes < 0:",
        STATEMENT + "test_a_sealed_companion_has_a_size_that_a_stream_can_have",
    ),
    Mutant(
        "format/requires.py",
        "if self.native_below is not None and numbers >= version_numbers(self.native_below):",
        "if self.native_below is not None and numbers > version_numbers(self.native_below):",
        STATEMENT + "test_native_versions_compare_as_numbers_and_missing_ones_are_zero",
    ),
    Mutant(
        "format/requires.py",
        "if platform is not None and self.platforms and platform not in self.platforms:",
        "if platform is not None and len(self.platforms) == 1 and platform not in self.platforms:",
        STATEMENT + "test_what_a_reader_is_not_told_fits_and_an_unknown_platform_does_not",
    ),
)
