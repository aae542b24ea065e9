"""Releases of a project: what is published, logged and believed of files that others may have left."""

from .mutant import Mutant

LOG = "tests/project/test_log.py::"
RELEASE = "tests/project/test_release.py::"
DOCTOR = "tests/project/test_doctor.py::"

MUTANTS = (
    Mutant(
        "project/log.py",
        "if (entry.number, entry.previous) != (number, previous):",
        "if entry.number != number:",
        LOG + "test_entries_of_two_histories_do_not_fit_together",
    ),
    Mutant(
        "project/_store_findings.py",
        "        for one in here:\n",
        "        for one in here[1:]:\n",
        DOCTOR + "test_a_development_store_that_did_not_follow_a_rotation_is_found",
    ),
    Mutant(
        "project/_store_findings.py",
        "            if one not in here and one not in known:\n",
        "            if one not in here and known and one not in known:\n",
        DOCTOR + "test_a_development_store_with_another_head_key_or_certificate_than_production_is_found",
    ),
    Mutant(
        "project/_store_findings.py",
        "    if here != there:\n",
        "    if here > there:\n",
        DOCTOR + "test_a_development_store_with_another_threshold_than_production_is_found[releases-1-2]",
    ),
    Mutant(
        "project/heads.py",
        "            except NotNextError as error:\n                refused = error",
        "            except NotNextError as error:\n                kept.drop_last()\n                refused = error",
        "tests/cli/test_head_commands.py::test_a_server_that_says_it_refused_a_head_gets_no_other_of_its_number",
    ),
    Mutant(
        "project/heads.py",
        "if isinstance(error, RejectedError) and here == (last.head.previous or NOTHING):",
        "if here == (last.head.previous or NOTHING):",
        "tests/cli/test_head_commands.py::test_a_server_that_says_it_refused_a_head_gets_no_other_of_its_number",
    ),
    Mutant(
        "project/_unfinished.py",
        "                    checked_index(companion, source)\n",
        "                    pass\n",
        "tests/project/test_release_kills.py::test_what_a_killed_release_left_of_its_recipes_is_taken_back",
    ),
    Mutant(
        "project/release.py",
        "if pending is None or not _is_of(pending, seal):\n        return False",
        "if pending is None:\n        return False\n    seal = pending.release.seal",
        RELEASE + "test_publishing_another_pair_leaves_what_is_pending",
    ),
    Mutant(
        "project/log.py",
        "            if entry.time < before.time:",
        "            if entry.time < before.time and entry.number > 9:",
        LOG + "test_time_does_not_go_backwards",
    ),
    Mutant(
        "project/log.py",
        "            if entry.trust < before.trust:",
        "            if entry.trust < before.trust - 1:",
        LOG + "test_a_key_that_was_rotated_out_writes_no_entry_under_any_version",
    ),
    Mutant(
        "project/log.py",
        "        if store.version != entry.trust:\n",
        "        if store.version < entry.trust:\n",
        LOG + "test_an_entry_of_a_version_whose_store_is_not_given_is_refused",
    ),
    Mutant(
        "project/log.py",
        "    if logged and logged[-1].entry.trust < newest:",
        "    if logged and logged[-1].entry.trust < newest - 1:",
        LOG + "test_until_an_update_is_noted_the_log_does_not_verify",
    ),
    Mutant(
        "project/log.py",
        "self._seals.get(entry.replaces) != entry.payload:",
        "entry.replaces not in self._seals:",
        LOG + "test_a_seal_that_replaces_another_is_logged_where_that_one_is",
    ),
    Mutant(
        "project/log.py",
        "role=Role.PRODUCTION, now=entry.time)",
        "role=Role.DEVELOPMENT, now=entry.time)",
        LOG + "test_a_development_key_writes_no_release_log",
    ),
    Mutant(
        "project/log.py",
        "        if not line:\n            return\n",
        "        if not line or line[-1] != 10:\n            return\n",
        LOG + "test_a_log_that_was_cut_off_in_a_line_is_refused_and_not_added_to",
    ),
    Mutant(
        "project/log.py",
        "if head is not None and head not in {FIRST, *(item.digest for item in logged)}:",
        "if head is not None and not logged:",
        LOG + "test_a_shortened_log_is_noticed_by_who_knows_a_later_head",
    ),
    Mutant(
        "project/git.py",
        "    if changed:\n",
        "    if len(changed) > 1:\n",
        RELEASE + "test_a_dirty_work_tree_is_refused",
    ),
    Mutant(
        "project/config.py",
        "                _check_owner(path, here)\n",
        "                pass\n",
        "tests/cli/test_bundle_commands.py::test_a_configuration_that_somebody_else_left_in_a_parent_folder_is_refused",
    ),
    Mutant(
        "project/release.py",
        "verified = verify(payload_part, trust=trust, expect=expect",
        "verified = verify(payload_part, trust=type(trust).of(signers[0].public_key), expect=expect",
        RELEASE + "test_what_the_production_store_refuses_leaves_nothing_behind",
    ),
    Mutant(
        "project/discovery.py",
        "return None if os.path.isabs(path) or path.split(os.sep)[0] in (os.pardir, os.curdir) else path",
        "return None if os.path.isabs(path) else path",
        "tests/project/test_discovery.py::test_app_id_and_web_folder_are_found_out",
    ),
    Mutant(
        "project/_log_writer.py",
        "        if self._trust is not None:\n",
        "        if self._trust is not None and entry.number == 1:\n",
        LOG + "test_what_would_not_verify_at_its_time_is_not_written",
    ),
    Mutant(
        "project/_log_writer.py",
        "        return now if self.last is None else max(now, self.last.time)\n",
        "        return now\n",
        LOG + "test_an_entry_after_one_of_a_fast_clock_has_its_time",
    ),
    Mutant(
        "project/_unfinished.py",
        "                continue  # it is another run's, or not whole: none of ours\n",
        "                pass\n",
        "tests/project/test_release_kills.py"
        "::test_a_payload_that_the_seal_left_behind_does_not_fit_is_nobodys_to_delete",
    ),
    Mutant(
        "project/_unfinished.py",
        "_is_ours(os.fstat(fd)) and _can_lock(fd)",
        "_is_ours(os.fstat(fd))",
        "tests/project/test_release_kills.py::test_what_another_release_is_at_and_what_is_not_ours_stays",
    ),
)
