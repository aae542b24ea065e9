"""Which zips may be sealed and unpacked."""

from .mutant import Mutant

CHECK = "tests/archive/test_check.py::"
NAMES = "tests/archive/test_names.py::"

MUTANTS = (
    Mutant(
        "archive/local_headers.py",
        "if not entry.shared.endswith(_NO_EXTRA):",
        "if not entry.shared:",
        CHECK + "test_a_header_that_is_as_the_directory_says_is_judged_as_by_the_closer_look",
    ),
    Mutant(
        "archive/local_headers.py",
        "expected = _LOCAL_SIGNATURE + entry.shared + entry.raw_name",
        "expected = _LOCAL_SIGNATURE + entry.shared + entry.raw_name[:-1]",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/local_headers.py",
        "if entry.offset != at:",
        "if entry.offset < at:",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/local_headers.py",
        "if at != directory:",
        "if at < 0:",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/local_headers.py",
        "if size > entry.size:",
        "if size > entry.size + CHUNK_BYTES:",
        "tests/archive/test_check.py::test_nothing_is_given_out_beyond_the_declared_size",
    ),
    Mutant(
        "archive/local_headers.py",
        "if size != entry.size or crc != entry.crc:",
        "if size != entry.size:",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/local_headers.py",
        "if any(value != right and not (later and value == 0) for value, right in zip(values, expected, strict=True)):",
        "if all(value != right and not (later and value == 0) for value, right in zip(values, expected, strict=True)):",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/local_headers.py",
        "if (name, method, flags & meaning) != (entry.raw_name, entry.method, entry.flags & meaning):",
        "if (method, flags & meaning) != (entry.method, entry.flags & meaning):",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/directory.py",
        "if method == STORED and packed != size:",
        "if method == STORED and packed > size:",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/directory.py",
        "if offset + size != end:",
        "if offset + size > end:",
        CHECK + "test_an_odd_archive_is_refused_and_the_message_says_why",
    ),
    Mutant(
        "archive/directory.py",
        "if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):",
        "if kind not in (0, stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):",
        "tests/device/test_archives.py::test_a_malicious_archive_is_refused_and_leaves_nothing",
    ),
    Mutant(
        "archive/directory.py",
        "if size > MAX_DIRECTORY_BYTES:",
        "if size > 64 * MAX_DIRECTORY_BYTES:",
        CHECK + "test_a_directory_is_not_read_beyond_its_cap",
    ),
    Mutant(
        "archive/names.py",
        'return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())',
        'return unicodedata.normalize("NFD", name.casefold())',
        NAMES + "test_two_names_that_are_one_somewhere_are_refused",
    ),
    Mutant(
        "archive/names.py",
        'return part.partition(".")[0].rstrip(" ").lower() in _DEVICES',
        'return part.rstrip(" ").lower() in _DEVICES',
        NAMES + "test_devices_of_windows_are_refused",
    ),
    Mutant(
        "archive/names.py",
        "if len(self._spelling) > self._limit:",
        "if len(self._spelling) > self._limit + 1:",
        NAMES + "test_one_more_than_the_limit_is_refused",
    ),
    Mutant(
        "archive/names.py",
        'if path.count("/") >= MAX_LEVELS or',
        'if path.count("/") > MAX_LEVELS or',
        NAMES + "test_lengths_and_levels_are_capped",
    ),
    Mutant(
        "archive/check.py",
        "if content_bytes > limits.ratio * archive_bytes:",
        "if content_bytes > limits.ratio * 11 * archive_bytes:",
        "tests/device/test_archives.py::test_a_malicious_archive_is_refused_and_leaves_nothing",
    ),
    Mutant(
        "archive/check.py",
        "if end.count > limits.entries:",
        "if end.count > limits.entries + 1:",
        CHECK + "test_the_number_of_entries_is_checked_before_they_are_read",
    ),
    Mutant(
        "archive/_listing.py",
        "        if kind == OTHER:\n",
        "        if kind == OTHER and os.path.islink(place) is None:\n",
        "tests/io/test_source.py::test_links_and_special_files_in_a_folder_are_refused",
    ),
    Mutant(
        "archive/_listing.py",
        "if name.endswith(KEY_ENDINGS) and size <= MAX_KEY_BYTES:",
        "if name.endswith(KEY_ENDINGS) and size <= 16:",
        "tests/archive/test_folder_zip.py::test_a_private_key_behind_a_certificate_is_an_error",
    ),
    Mutant(
        "archive/stores.py",
        "return _STORE_TYPE.match(file.read(_READ_BYTES)) is not None",
        "return _STORE_TYPE.match(file.read(1)) is not None",
        "tests/archive/test_folder_zip.py::test_a_store_in_which_nothing_was_published_is_left_out_too",
    ),
    Mutant(
        "archive/_private_keys.py",
        "bool(LABEL.match(data) or _has_key(data))",
        "bool(LABEL.fullmatch(data) or _has_key(data))",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_an_error_whatever_it_is_called",
    ),
    Mutant(
        "archive/_private_keys.py",
        r"(?:\\+(?:u00|x)2[dD]|&\#(?:45|x2[dD]);){5}",
        r"(?:\\(?:u00|x)2d|&\#(?:45|x2[dD]);){5}",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_an_error_whatever_is_around_it",
    ),
    Mutant(
        "archive/folder_zip.py",
        "                self._refuse_private_key(number, search, chunk)\n",
        "                self._refuse_private_key(number, search, chunk[:0])\n",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_an_error_whatever_is_around_it",
    ),
    Mutant(
        "archive/_private_keys.py",
        "for part in (before + piece[:_SEAM_BYTES], piece))",
        "for part in (piece[:_SEAM_BYTES], piece))",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_found_wherever_it_is_in_a_file",
    ),
    Mutant(
        "archive/_private_keys.py",
        "for part in (data, data[::2], data[1::2]))",
        "for part in (data, data[::2]))",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_found_wherever_it_is_in_a_file",
    ),
    Mutant(
        "archive/content.py",
        "            if search.feed(piece):\n",
        "            if search.feed(piece[:16]):\n",
        "tests/archive/test_sealing.py::test_a_private_key_in_a_ready_zip_is_refused",
    ),
    Mutant(
        "archive/local_headers.py",
        "if found := _HEADERS.search(end + chunk):",
        "if found := _HEADERS.search(chunk):",
        CHECK + "test_stored_data_that_ends_where_a_descriptor_stands_holds_nothing_that_looks_like_one",
    ),
    Mutant(
        "archive/local_headers.py",
        "if _end_in_order(window, entry.packed - before, has_zip64=has_zip64) != entry.packed:",
        "if _end_in_order(window, entry.packed - before, has_zip64=has_zip64) is None:",
        CHECK + "test_a_descriptor_that_is_one_of_other_sizes_as_well_is_refused",
    ),
    Mutant(
        "archive/local_headers.py",
        "held = window[-_HELD_BYTES:]",
        "held = window[-_HEADER_BYTES:]",
        CHECK + "test_an_end_that_is_too_early_is_seen_wherever_two_reads_meet",
    ),
    Mutant(
        "archive/local_headers.py",
        "if entry.flags & DESCRIPTOR and entry.method == DEFLATED:",
        "if entry.flags & DESCRIPTOR and entry.method != DEFLATED:",
        CHECK + "test_deflated_data_that_a_reader_in_order_takes_to_end_too_early_is_refused",
    ),
    Mutant(
        "archive/local_headers.py",
        "(has_zip64 or max(entry.packed, entry.size) > MAX32)",
        "max(entry.packed, entry.size) > MAX32",
        CHECK + "test_sizes_behind_data_are_long_where_the_header_has_a_block_of_zip64",
    ),
    Mutant(
        "archive/local_headers.py",
        "        if not _ends_at_descriptor(entry):\n",
        "        if True:\n",
        CHECK + "test_a_stored_entry_with_a_descriptor_needs_one_with_its_signature",
    ),
    Mutant(
        "archive/folder_zip.py",
        "if unknown and hints_at_private_key(buffer):",
        "if unknown and hints_at_private_key(buffer[len(buffer) // 2 :]):",
        "tests/archive/test_folder_zip.py::test_a_private_key_among_many_files_is_found_in_one_read_of_all",
    ),
    Mutant(
        "archive/folder_zip.py",
        "        check_directory_bytes(size)\n",
        "        check_directory_bytes(0)\n",
        "tests/archive/test_folder_zip.py::test_a_directory_larger_than_devices_read_is_refused_when_it_is_listed",
    ),
    Mutant(
        "archive/directory.py",
        "while at >= 0 and _comment_bytes(tail, at) != len(tail) - at - END.size:",
        "while at < -1:",
        CHECK + "test_a_comment_that_other_readers_take_for_the_end_is_refused",
    ),
    Mutant(
        "archive/directory.py",
        "        if not whole or _leads_to_end64(read_at, locator):\n",
        "        if True:\n",
        "tests/archive/test_folder_zip.py::test_offsets_that_look_like_signatures_do_not_mislead_the_check_of_devices",
    ),
    Mutant(
        "archive/content.py",
        "and not is_made_by_capseal(os.fsencode(place)):",
        "and not place.endswith('.payload') and not is_made_by_capseal(os.fsencode(place)):",
        "tests/cli/test_outputs.py::test_an_output_never_replaces_a_file_of_a_folder_that_is_read",
    ),
    Mutant(
        "archive/content.py",
        "    if holds_private_key(data) or (",
        "    if (",
        "tests/archive/test_sealing.py::test_a_private_key_is_not_sealed_as_a_single_file",
    ),
    Mutant(
        "archive/_private_keys.py",
        "_SEAM_BYTES = 2 * 4096",
        "_SEAM_BYTES = 2 * 512",
        "tests/archive/test_folder_zip.py::test_a_private_key_is_an_error_whatever_is_around_it",
    ),
)
