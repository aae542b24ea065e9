"""Capgo's format: what it can check is checked, and nothing is released before."""

from .mutant import Mutant

STREAMING = "tests/capgo/test_streaming.py::"
WIRE = "tests/capgo/test_wire.py::"
PACKING = "tests/capgo/test_packing.py::"
ATTACHING = "tests/capgo/test_attaching.py::"
OFFER = "tests/capgo/test_offer.py::"

MUTANTS = (
    Mutant(
        "capgo/_cbc.py",
        "if found != self._expected:",
        "if found[:4] != self._expected[:4]:",
        STREAMING + "test_a_checksum_is_compared_to_its_last_byte",
    ),
    Mutant(
        "capgo/_cbc.py",
        "    check.finish()\n",
        "    if output is not None:\n        check.finish()\n",
        STREAMING + "test_spoilt_bundle_is_refused_and_leaves_no_file",
    ),
    Mutant(
        "capgo/_cbc.py",
        "if not 1 <= count <= BLOCK_BYTES or bytes(block[-count:]) != bytes([count]) * count:",
        "if not 1 <= count <= BLOCK_BYTES or block[-count] != count:",
        STREAMING + "test_padding_is_so_many_times_its_own_length",
    ),
    Mutant(
        "capgo/_wire.py",
        "if len(digest) != DIGEST_BYTES:",
        "if len(digest) > DIGEST_BYTES:",
        WIRE + "test_v3_checksum_that_holds_no_digest_is_rejected",
    ),
    Mutant(
        "capgo/_wire.py",
        "if found is not version:",
        "if found is ChecksumVersion.V2 and found is not version:",
        WIRE + "test_checksum_of_the_other_version_is_a_format_error",
    ),
    Mutant(
        "capgo/_wire.py",
        "if len(key) != AES_KEY_BYTES:",
        "if len(key) > AES_KEY_BYTES:",
        WIRE + "test_session_key_of_another_size_is_a_format_error",
    ),
    Mutant(
        "capgo/_wire.py",
        "    key: bytes = field(repr=False)\n",
        "    key: bytes\n",
        WIRE + "test_nothing_secret_shows_in_a_repr",
    ),
    Mutant(
        "capgo/_keys.py",
        "files.write(private, self.pem, mode=0o600)",
        "files.write(private, self.pem, mode=0o644)",
        WIRE + "test_saved_keys_load_and_the_private_one_is_for_its_owner_only",
    ),
    Mutant(
        "capgo/_keys.py",
        "    if bits != RSA_BITS:\n",
        "    if bits > 2 * RSA_BITS:\n",
        WIRE + "test_key_that_the_plugin_cannot_read_is_refused",
    ),
    Mutant(
        "capgo/_attaching.py",
        "if one.name == name and not one.sealed), None)",
        "if one.name == name), None)",
        ATTACHING + "test_a_sealed_companion_is_no_capgo_file",
    ),
    Mutant(
        "capgo/_attaching.py",
        "    if companion.size != bundle.ciphertext_bytes:\n        raise FormatError(",
        "    if companion.size > bundle.ciphertext_bytes:\n        raise FormatError(",
        ATTACHING + "test_description_of_a_bundle_of_another_size_is_a_format_error",
    ),
    Mutant(
        "capgo/_single_files.py",
        'if " " in name or "\\\\" in name or not name.isprintable():',
        'if " " in name or not name.isprintable():',
        "tests/capgo/test_manifest.py::test_name_that_the_plugin_cannot_take_leaves_no_folder",
    ),
    Mutant(
        "capgo/_versions.py",
        "return (ours[0], not ours[1]) < (theirs[0], not theirs[1])",
        "return ours[0] < theirs[0]",
        "tests/capgo/test_endpoint.py::test_pre_release_is_below_its_release",
    ),
    Mutant(
        "capgo/_single_files.py",
        "        check_file_of_folder(path)\n",
        "",
        "tests/capgo/test_manifest.py::test_a_private_key_is_no_file_of_a_manifest",
    ),
    Mutant(
        "capgo/_pack.py",
        "not 0 <= offset <= pack_bytes - size",
        "not 0 <= offset <= pack_bytes",
        PACKING + "test_a_list_that_points_out_of_its_pack_or_folder_is_refused",
    ),
    Mutant(
        "capgo/_pack.py",
        'if any(part in ("", ".", "..") for part',
        'if any(part in ("", ".") for part',
        PACKING + "test_a_list_that_points_out_of_its_pack_or_folder_is_refused",
    ),
    Mutant(
        "capgo/_attaching.py",
        "        if files.pack_bytes != self.pack.size:",
        "        if files.pack_bytes > self.pack.size:",
        PACKING + "test_what_is_beside_another_bundle_is_not_attached",
    ),
    Mutant(
        "capgo/_attaching.py",
        "        if files.session_key != bundle.session_key:",
        "        if files.session_key[:24] == bundle.session_key:",
        PACKING + "test_what_is_beside_another_bundle_is_not_attached",
    ),
    Mutant(
        "capgo/_deltas.py",
        "        attached.check(files, bundle)\n",
        "",
        "tests/capgo/test_plugin_deltas.py::test_a_list_of_another_pack_offers_the_whole_file_only",
    ),
    Mutant(
        "capgo/_counts.py",
        "        if kind not in known and room <= 0:",
        "        if kind not in known and room < 0:",
        "tests/capgo/test_statistics.py::test_many_kinds_in_an_hour_become_other",
    ),
    Mutant(
        "capgo/_events.py",
        "        version if _VERSION.fullmatch(version) else OTHER,",
        "        version if _VERSION.match(version) else OTHER,",
        "tests/capgo/test_statistics.py::test_what_nobody_knows_is_other",
    ),
    Mutant(
        "capgo/_offer.py",
        'device_id.lower().encode("utf-8", "surrogatepass")',
        'device_id.encode("utf-8", "surrogatepass")',
        OFFER + "test_an_id_in_capitals_is_the_same_device",
    ),
    Mutant(
        "capgo/_offer.py",
        'if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable():',
        "if not parts.scheme or not value.isprintable():",
        OFFER + "test_a_member_is_read_strictly",
    ),
    Mutant(
        "capgo/_endpoint.py",
        "    if request.version_name == release.version:\n        return False",
        "    if request.version_name == release.version and release.offer.share:\n        return False",
        OFFER + "test_a_device_that_has_a_release_keeps_it_whatever_share_it_is_for",
    ),
    Mutant(
        "capgo/_choosing.py",
        "below=latest[0].sequence",
        "below=latest[0].sequence - 1",
        OFFER + "test_devices_outside_of_a_share_stay_with_the_release_before",
    ),
    Mutant(
        "server/catalogue/_latest.py",
        "if entry.withdrawn is None and entry.sequence not in forbidden.sequences:",
        "if entry.withdrawn is None:",
        OFFER + "test_a_share_is_raised_by_the_same_release_again_and_a_head_hides_no_older_one",
    ),
)
