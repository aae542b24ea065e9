"""What leaves for a destination, who may see a key, and whose bytes are believed."""

from .mutant import Mutant

PLACES = "tests/fleet/test_places.py::"
JOBS = "tests/fleet/test_jobs.py::"
SERVING = "tests/fleet/test_serving.py::"
STATE = "tests/fleet/test_state.py::"
GOING_ON = "tests/fleet/test_going_on.py::"
SCRUB = "tests/fleet/test_scrub.py::"
REWRAP = "tests/fleet/test_rewrap.py::"

MUTANTS = (
    Mutant(
        "fleet/_plan.py",
        "and self._entries[start:stop] != entries",
        "and self._entries[start : stop - 32] != entries[:-32]",
        "tests/fleet/test_plan.py::test_two_tasks_that_differ_and_an_index_with_a_hole_are_refused",
    ),
    Mutant(
        "fleet/_payloads.py",
        ", most=_most_seal_bytes(folder))",
        ", most=None if folder else _most_seal_bytes(folder))",
        SERVING + "test_of_a_seal_that_is_larger_than_its_parts_allow_no_byte_is_read",
    ),
    Mutant(
        "fleet/_places.py",
        "                    return os.fstat(fd).st_size\n",
        "                    return os.fstat(fd).st_size\n"
        "        except FormatError:\n"
        "            return os.stat(os.path.join(folder, name)).st_size\n",
        PLACES + "test_what_is_no_file_is_neither_read_nor_waited_for[link]",
    ),
    Mutant(
        "fleet/_places.py",
        "most=len(data) + MAX_ENVELOPE_BYTES)",
        "most=None)",
        PLACES + "test_what_was_there_before_is_read_only_where_its_size_is_about_that_of_what_is_put",
    ),
    Mutant(
        "fleet/_scrubbing.py",
        "*places.no_files(store, layout.CHANNELS)",
        "*()",
        SCRUB + "test_what_is_planted_in_place_of_a_pointer_is_found_and_makes_no_orphans[pipe]",
    ),
    Mutant(
        "fleet/_sealing.py",
        "        if claims.said(SEALED) is not None or places.size_of(folder, SEAL) is not None:",
        "        if places.size_of(folder, SEAL) is not None:",
        GOING_ON + "test_what_was_sealed_keeps_its_parts_when_the_same_job_is_run_again[source]",
    ),
    Mutant(
        "fleet/_sealing.py",
        "            if kept is not None and before is not None and claimed.said(PARTS_SIZE) is None:",
        "            if kept is not None and before is not None and before.claims != claims_folder:",
        GOING_ON + "test_a_job_whose_claims_are_gone_sends_nothing_and_drops_its_key",
    ),
    Mutant(
        "fleet/_state.py",
        "        if not durable.try_lock(fd):",
        "        if not durable.try_share(fd):",
        GOING_ON + "test_of_two_jobs_with_one_state_the_second_is_refused",
    ),
    Mutant(
        "fleet/_state.py",
        "        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MODE:",
        "        if found.st_uid != os.geteuid() or found.st_mode & 0o044:",
        STATE + "test_a_state_that_others_may_read_or_that_is_none_is_refused_and_stays[writable]",
    ),
    Mutant(
        "fleet/_state.py",
        "    check_commitment(key, header, statement.app, statement.encryption.commitment)\n",
        "",
        STATE + "test_a_state_that_others_may_read_or_that_is_none_is_refused_and_stays[another key]",
    ),
    Mutant(
        "fleet/_sealing.py",
        "    if before.pin != now.pin:",
        '    if before.pin["size"] != now.pin["size"]:',
        STATE + "test_a_source_of_another_size_or_pin_is_another_one",
    ),
    Mutant(
        "fleet/_sealing.py",
        "            claimed = ClaimsInStore(claims_folder)\n",
        "            claimed = ClaimsInStore(claims_folder) if engine.shared else claimed\n",
        STATE + "test_a_source_that_is_another_one_by_then_gets_another_key",
    ),
    Mutant(
        "fleet/_sealing.py",
        "    if said is not None and output.size_of(part) is None:",
        "    if said is None and output.size_of(part) is not None:",
        STATE + "test_a_folder_that_lost_its_first_part_is_not_gone_on_with",
    ),
    Mutant(
        "fleet/_sealing.py",
        "        if state is None or isinstance(error, _UNSAFE):",
        "        if state is None:",
        STATE + "test_a_source_that_is_another_one_by_then_gets_another_key",
    ),
    Mutant(
        "fleet/_work.py",
        "        if sent is not None and work.source.is_told:",
        "        if sent is not None:",
        STATE + "test_a_source_that_is_another_one_by_then_gets_another_key",
    ),
    Mutant(
        "fleet/_scrub_work.py",
        "    if folder not in (None, commitment):",
        "    if folder == 64 * commitment[:1]:",
        SERVING + "test_a_scrub_finds_what_is_wrong_with_parts_and_nothing_else",
    ),
    Mutant(
        "fleet/_work.py",
        '        work.claims.claim(part.part_name, len(payload).to_bytes(_CLAIMED_SIZE_BYTES, "big") + found)\n',
        '        work.claims.claim(part.part_name, len(payload).to_bytes(_CLAIMED_SIZE_BYTES, "big") + found[:32])\n',
        PLACES + "test_a_destination_never_sees_two_ciphertexts_of_a_segment[store]",
    ),
    Mutant(
        "fleet/_work.py",
        "        work.claims.check_open()\n",
        "",
        PLACES + "test_a_task_of_a_job_that_was_given_up_sends_nothing",
    ),
    Mutant(
        "fleet/_work.py",
        "if there is not None and there != payload:",
        "if there is not None and len(there) > len(payload):",
        PLACES + "test_a_destination_that_holds_something_else_is_told",
    ),
    Mutant(
        "fleet/_claims.py",
        "    if said != what:",
        "    if said[8:] != what[8:]:",
        PLACES + "test_a_claim_also_says_how_long_a_part_is",
    ),
    Mutant(
        "fleet/_sources.py",
        "return found.st_ino, found.st_size, found.st_mtime_ns",
        "return found.st_ino, found.st_size, 0",
        PLACES + "test_a_file_whose_time_changed_is_another_one",
    ),
    Mutant(
        "fleet/_sources.py",
        'if self.e_tag not in (None, meta["e_tag"]) or self.version not in (None, meta["version"]):',
        'if self.version not in (None, meta["version"]):',
        PLACES + "test_a_store_that_ignores_conditions_is_found_out",
    ),
    Mutant(
        "fleet/_sources.py",
        'if meta["version"] is None and meta["e_tag"] is None:',
        'if meta["version"] is None and meta["e_tag"] == "":',
        PLACES + "test_a_source_that_nobody_can_pin_is_refused",
    ),
    Mutant(
        "fleet/_sealing.py",
        "        claimed.claim(PARTS_SIZE, str(part_segments).encode())\n",
        "",
        PLACES + "test_a_folder_of_claims_has_one_size_of_parts",
    ),
    Mutant(
        "fleet/_sealing.py",
        "        claims.close()\n",
        "        pass\n",
        STATE + "test_a_source_that_is_another_one_by_then_gets_another_key",
    ),
    Mutant(
        "fleet/_engines.py",
        "        return ipaddress.ip_address(host).is_loopback\n",
        "        return not ipaddress.ip_address(host).is_global\n",
        JOBS + "test_an_address_that_would_show_keys_is_refused[tcp://10.0.0.1:8786-None]",
    ),
    Mutant(
        "fleet/_engines.py",
        'return host == "localhost"',
        'return host.startswith("localhost")',
        JOBS + "test_an_address_that_would_show_keys_is_refused[tcp://localhost.example.com:8786-None]",
    ),
    Mutant(
        "fleet/_scrub_work.py",
        "    if data is None or size != check.size:",
        "    if data is None:",
        "tests/fleet/test_scrub.py::test_two_defects_of_every_kind_are_found_and_nothing_else[threads-512]",
    ),
    Mutant(
        "fleet/_scrub_work.py",
        "    if found != item.entry.seal:",
        '    if found == "":',
        "tests/fleet/test_scrub.py::test_another_seal_of_the_same_release_is_not_the_one_that_was_published",
    ),
    Mutant(
        "fleet/_scrub_work.py",
        "        return SignedIndex.checked(payload, data).whole()",
        "        return SignedIndex(payload, data).whole()",
        "tests/fleet/test_scrub.py::test_two_defects_of_every_kind_are_found_and_nothing_else[threads-512]",
    ),
    Mutant(
        "fleet/_scrubbing.py",
        "        if one.modified <= before:",
        "        if one.modified:",
        "tests/fleet/test_scrub.py::test_what_came_of_late_may_be_on_its_way_in",
    ),
    Mutant(
        "fleet/_rewrapping.py",
        "        if not self.log.has(verified.seal):",
        '        if verified.statement.app == "":',
        REWRAP + "test_only_what_is_trusted_logged_and_whole_is_signed_anew",
    ),
    Mutant(
        "fleet/_rewrapping.py",
        "            job.renew([path for path in looked.sound if path not in waits])",
        "            job.renew([path for path in looked.sound])",
        REWRAP + "test_a_large_release_is_signed_anew_only_where_each_of_its_runs_is_whole",
    ),
    Mutant(
        "fleet/_rewrapping.py",
        "            left[task.what] -= not found",
        "            left[task.what] -= 1",
        REWRAP + "test_a_large_release_is_signed_anew_only_where_each_of_its_runs_is_whole",
    ),
    Mutant(
        "server/storage/pointers.py",
        "            if entries.get(before.sequence) == before:",
        "            if before.sequence in entries:",
        REWRAP + "test_a_release_that_was_withdrawn_stays_and_one_that_changes_meanwhile_too",
    ),
    Mutant(
        "project/seal_log.py",
        "        verify_log(log, trust=trust)\n",
        "",
        REWRAP + "test_a_log_that_is_signed_by_somebody_else_ends_it_before_it_begins",
    ),
)
