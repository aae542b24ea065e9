"""What a device installs, starts and goes on running."""

from .mutant import Mutant

STORE = "tests/device/test_store.py::"
HEADS = "tests/device/test_heads.py::"
HOSTILE = "tests/device/test_hostile_server.py::"
ARCHIVES = "tests/device/test_archives.py::"

TRUST = "tests/device/test_trust_updates.py::"
LOST = "tests/device/test_lost_trust.py::"

MUTANTS = (
    Mutant(
        "device/_store.py",
        "                state.check_not_dropped(trial.bundle)\n",
        "",
        LOST + "test_what_waits_from_before_a_restart_is_neither_started_nor_confirmed",
    ),
    Mutant(
        "device/_store.py",
        "            check_seal(folder, bundle, trust=memory.trust, expect=memory.expect_kept(bundle))\n",
        "            check_seal(folder, bundle, trust=memory.app.trust, expect=memory.expect_kept(bundle))\n",
        LOST + "test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned",
    ),
    Mutant(
        "device/_store.py",
        "            self._check(state.staged, content=False)\n",
        "            check_present(self._path(state.staged))\n",
        LOST + "test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned",
    ),
    Mutant(
        "device/_store.py",
        "                self._check(trial.bundle, content=False)\n",
        "                check_present(self._path(trial.bundle))\n",
        LOST + "test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned",
    ),
    Mutant(
        "device/_store.py",
        "self._memory.save(state.fail(trial.bundle, str(error), by=BY_COPY))",
        "self._memory.save(state.fail(trial.bundle, str(error), by=BY_TRIAL))",
        LOST + "test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned",
    ),
    Mutant(
        "device/_store.py",
        "choice = pick_confirmed(state, None, check=partial(self._check, content=False))",
        "choice = pick_confirmed(state, None, check=lambda bundle: None)",
        LOST + "test_a_rollback_passes_over_what_a_removed_key_signed",
    ),
    Mutant(
        "device/_starting.py",
        "        state.check_not_dropped(bundle)\n",
        "        pass\n",
        LOST + "test_a_started_bundle_from_before_a_restart_ends_with_its_trial",
    ),
    Mutant(
        "device/_memory.py",
        "        return replace(self.expect(None), now=made)\n",
        "        return self.expect(None)\n",
        LOST + "test_what_was_made_and_installed_under_a_certificate_runs_on_after_its_end_whatever_the_clock_says",
    ),
    Mutant(
        "device/_replaying.py",
        "if bundle.sequence > restart.sequence or bundle.created > created:",
        "if bundle.sequence > restart.sequence:",
        LOST + "test_what_waits_from_before_a_restart_is_neither_started_nor_confirmed",
    ),
    Mutant(
        "device/_installing.py",
        "            expect.check(statement)  # a later head may be here, or the one that was has expired\n",
        "",
        LOST + "test_a_release_that_a_later_head_does_not_name_any_more_is_not_staged",
    ),
    Mutant(
        "device/_installing.py",
        "            expect = memory.expect(None, head=head)\n",
        "            expect = memory.expect(None)\n",
        LOST + "test_a_release_that_a_later_head_does_not_name_any_more_is_not_staged",
    ),
    Mutant(
        "device/_installing.py",
        "            if memory.trust != trust:\n",
        "            if memory.trust.version < trust.version:\n",
        LOST + "test_a_key_that_is_removed_while_a_bundle_arrives_stages_nothing",
    ),
    Mutant(
        "device/_installing.py",
        "        if known == state.current:\n            return True\n",
        "        return True\n",
        LOST + "test_what_a_removed_key_alone_signed_neither_goes_on_nor_is_condemned",
    ),
    Mutant(
        "device/_replaying.py",
        "            elif brought.version == builtin.version and brought.digest != builtin.digest:\n",
        "            elif brought.version == builtin.version and brought.root != builtin.root and False:\n",
        TRUST + "test_a_new_build_of_the_same_version_with_another_root_wins",
    ),
    Mutant(
        "device/_replaying.py",
        "heads = state.heads if fitting or _same_heads(memory.updates[-1], store) else None",
        "heads = state.heads if fitting else None",
        HOSTILE + "test_a_new_build_with_another_root_and_the_same_head_keys_keeps_what_heads_said",
    ),
    Mutant(
        "device/_replaying.py",
        "return before.epoch == store.epoch and before.heads is not None and",
        "return before.heads is not None and",
        HOSTILE + "test_a_new_build_with_another_root_and_the_same_head_keys_keeps_what_heads_said",
    ),
    Mutant(
        "device/_replaying.py",
        "if restart is None or restart == memory.restarted:",
        "if restart is None:",
        TRUST + "test_what_a_stolen_release_key_did_with_the_highest_sequence_ends_with_a_restart",
    ),
    Mutant(
        "trust/expect.py",
        "            max(least, min(self.floor, restart.sequence)),",
        "            min(self.floor, restart.sequence),",
        TRUST + "test_what_a_stolen_release_key_did_with_the_highest_sequence_ends_with_a_restart",
    ),
    Mutant(
        "device/_replaying.py",
        "    return _restarted_by(replace(state, trust=memory.with_update(update)), new), new",
        "    return _restarted_by(state, new), new",
        TRUST + "test_a_stolen_release_key_is_rotated_out_and_cannot_come_back",
    ),
    Mutant(
        "device/_following.py",
        "            memory.save(doubted)\n",
        "            pass\n",
        HOSTILE + "test_an_update_that_is_skipped_forked_replayed_or_forged_is_refused_and_told",
    ),
    Mutant(
        "device/_following.py",
        "    memory.heads.after(state, head, fetched)  # without the lock, since it may take its time\n"
        "    memory.disk.create()\n    with memory.disk.changing():\n",
        "    memory.disk.create()\n    with memory.disk.changing():\n"
        "        memory.heads.after(state, head, fetched)\n",
        HOSTILE + "test_a_server_that_holds_a_recall_back_keeps_no_start_and_no_confirmation_waiting",
    ),
    Mutant(
        "device/_heads.py",
        "            check_store(self._trust, head)\n",
        "            pass\n",
        HEADS + "test_what_a_stolen_head_key_did_a_new_epoch_mends",
    ),
    Mutant(
        "device/_memory.py",
        "now=None if self.heads is None else self.heads.certificate_time(),",
        "now=None if self.heads is None else self.heads.time(self.read()),",
        HOSTILE + "test_a_stolen_head_key_moves_no_time_by_which_certificates_are_valid",
    ),
    Mutant(
        "device/_heads.py",
        "        now = self.certificate_time()\n",
        "        now = self.time(state)\n",
        HOSTILE + "test_a_stolen_head_key_moves_no_time_by_which_certificates_are_valid",
    ),
    Mutant(
        "device/_heads.py",
        "        check_follows(last, signed)\n",
        "        check_follows(None, signed)\n",
        HEADS + "test_a_replayed_head_is_refused_and_told",
    ),
    Mutant(
        "device/_heads.py",
        "if self._use is HeadUse.USED and last is None:\n            return None",
        "if self._use is HeadUse.USED:\n            return None",
        HEADS + "test_a_used_head_counts_from_the_first_one_on",
    ),
    Mutant(
        "device/_installing.py",
        "expect = memory.expect(state.floor, head=head)",
        "expect = memory.expect(state.floor)",
        HEADS + "test_only_what_a_fresh_head_names_is_installed",
    ),
    Mutant(
        "device/_state.py",
        "sequence in self.heads.withdrawn(epoch=self.epoch):",
        "sequence in self.heads.withdrawn(epoch=0):",
        HEADS + "test_activation_checks_withdrawals_again_and_not_freshness",
    ),
    Mutant(
        "device/_head_memory.py",
        "secret=self.secret or secret)",
        "secret=secret)",
        HEADS + "test_the_secret_is_drawn_once",
    ),
    Mutant(
        "device/_runs.py",
        "entry.size <= _RUN_BYTES and not entry.flags & DESCRIPTOR:",
        "entry.size <= _RUN_BYTES:",
        "tests/device/test_runs.py::test_what_a_reader_in_order_would_end_elsewhere_is_refused_among_many_files_too",
    ),
    Mutant(
        "device/_memory.py",
        "            floor=floor,\n            role=app.role,\n",
        "            floor=floor,\n            role=Role.DEVELOPMENT,\n",
        STORE + "test_a_store_takes_its_own_role_only",
    ),
    Mutant(
        "device/_manifest.py",
        "check_bundle(folder, content=CONTENT, manifest=MANIFEST, digest=bundle.manifest, progress=progress)",
        "pass",
        STORE + "test_what_was_changed_on_disk_fails_and_the_bundle_before_runs",
    ),
    Mutant(
        "device/_manifest.py",
        "if digest != bundle.digest:",
        "if digest[:0] != bundle.digest[:0]:",
        STORE + "test_the_seal_of_another_bundle_is_not_this_ones",
    ),
    Mutant(
        "device/_installing.py",
        "            state.check_bundle(bundle)  # the floor may have risen meanwhile\n",
        "",
        STORE + "test_a_floor_that_rises_while_a_bundle_is_unpacked_counts",
    ),
    Mutant(
        "device/_store.py",
        "            state.check_bundle(state.staged)\n",
        "",
        STORE + "test_a_staged_bundle_that_was_overtaken_is_not_activated",
    ),
    Mutant(
        "device/_starting.py",
        "if trial.starts >= boots:",
        "if trial.starts > boots:",
        STORE + "test_a_bundle_that_is_not_confirmed_fails_and_is_never_tried_again",
    ),
    Mutant(
        "device/_store.py",
        "if elapsed_s > self._confirm_within_s:",
        "if elapsed_s > self._confirm_within_s + 1:",
        STORE + "test_a_confirmation_counts_for_ten_seconds",
    ),
    Mutant(
        "device/_memory.py",
        "if (state.app, state.channel) != (app.name, app.channel):",
        "if state.app != app.name:",
        STORE + "test_a_store_of_another_app_or_channel_is_not_touched",
    ),
    Mutant(
        "device/_installing.py",
        "                state.check_statement(statement)\n",
        "",
        ARCHIVES + "test_a_refused_archive_is_not_even_read_again",
    ),
    Mutant(
        "trust/expect.py",
        "return Succession(sequence, max(self.highest, sequence), max(self.newest, created))",
        "return Succession(sequence, max(self.highest, sequence), created)",
        STORE + "test_the_youngest_statement_stays_the_youngest_whatever_is_confirmed_after_it",
    ),
    Mutant(
        "trust/expect.py",
        "if created <= self.newest:",
        "if created < self.newest:",
        STORE + "test_a_permit_of_the_same_second_is_not_younger",
    ),
    Mutant(
        "device/_state.py",
        "check(sequence, created, permit=permit, least=self.shipped)",
        "check(sequence, created, permit=permit)",
        STORE + "test_nothing_older_than_the_built_in_bundle_is_installed_or_run",
    ),
    Mutant(
        "device/_state.py",
        "confirmed=(bundle, *(old for old in self.confirmed if old.sequence < bundle.sequence)),",
        "confirmed=(bundle, *self.confirmed),",
        STORE + "test_what_a_downgrade_withdrew_cannot_be_replayed_or_rolled_back_to",
    ),
    Mutant(
        "device/_state.py",
        "if failure.digest == digest and failure.by in (BY_TRIAL, BY_RECALL, self.check):",
        "if failure.digest == digest and failure.by in (BY_RECALL, self.check):",
        STORE + "test_a_bundle_that_is_not_confirmed_fails_and_is_never_tried_again",
    ),
    Mutant(
        "device/_manifest.py",
        "if found != digest:",
        "if found[:16] != digest[:16] and False:",
        STORE + "test_what_was_changed_on_disk_fails_and_the_bundle_before_runs",
    ),
    Mutant(
        "device/_manifest.py",
        "if path not in self.folders or not stat.S_ISDIR(\n"
        "                    os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode\n"
        "                ):",
        "if path not in self.folders:",
        "tests/device/test_store.py::test_a_folder_that_became_a_link_is_noticed",
    ),
    Mutant(
        "device/_manifest.py",
        "missing = sorted((self.folders | self.files.keys()) - seen)",
        "missing = sorted(self.folders - seen)",
        STORE + "test_what_was_changed_on_disk_fails_and_the_bundle_before_runs",
    ),
    Mutant(
        "device/_manifest.py",
        "if found != expected.digest:",
        "if size == 0 and found != expected.digest:",
        STORE + "test_what_was_changed_on_disk_fails_and_the_bundle_before_runs",
    ),
    Mutant(
        "device/_unpack.py",
        "_MAX_MODE = 0o755  # no set-uid, no set-gid, nobody else writes",
        "_MAX_MODE = 0o777",
        ARCHIVES + "test_nobody_else_can_write_to_what_is_unpacked_whatever_the_umask",
    ),
    Mutant(
        "device/_runs.py",
        "check_content(entry, size, crc32(file))",
        "check_content(entry, size, crc32(file[:-4]) and entry.crc)",
        "tests/device/test_runs.py::test_a_damaged_file_among_many_is_refused",
    ),
    Mutant(
        "device/_unpack.py",
        "self._way.append((part, os.open(part, durable.FOLDER, dir_fd=self._way[-1][1])))",
        "self._way.append((part, os.open(part, os.O_RDONLY, dir_fd=self._way[-1][1])))",
        ARCHIVES + "test_a_link_that_appears_while_unpacking_is_not_followed",
    ),
    Mutant(
        "device/_unpack.py",
        "        check_path(name)\n",
        "",
        ARCHIVES + "test_a_single_file_has_a_name_that_every_platform_can_store",
    ),
    Mutant(
        "device/_disk.py",
        "                    os.fchmod(fd, 0o700)\n",
        "                    pass\n",
        ARCHIVES + "test_only_the_owner_can_look_into_the_store",
    ),
)
